"""AdamW (Loshchilov and Hutter 2019, "Decoupled weight decay regularization") on named tensors.

Belongs here: the optimiser, its state, and nothing of what it optimises. Does not belong here: schedules. torch's own would
import torch's compiler: two CPU-seconds of every process that fits anything, which is more than a small table takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class AdamW:
    """`first` and `second` are the running means of gradients and of their squares, `steps` how many have gone in."""

    def __init__(self, weights: Mapping[str, torch.Tensor], weight_decay: float) -> None:
        import torch

        self.weights, self.weight_decay, self.steps = dict(weights), weight_decay, 0
        self.first = {name: torch.zeros_like(part) for name, part in self.weights.items()}
        self.second = {name: torch.zeros_like(part) for name, part in self.weights.items()}

    def step(self, rates: Mapping[str, float]) -> None:
        """Move every weight by its gradient, at its own learning rate, and forget the gradient.

        A weight whose rate is 0 stays as it is.
        """
        import torch

        self.steps += 1
        # Young means lean towards the zeros they started from.
        first_bias, second_bias = 1.0 - BETA_1**self.steps, 1.0 - BETA_2**self.steps
        with torch.no_grad():
            for name, weight in self.weights.items():
                gradient, rate = weight.grad, rates[name]
                assert gradient is not None
                self.first[name].lerp_(gradient, 1.0 - BETA_1)
                self.second[name].mul_(BETA_2).addcmul_(gradient, gradient, value=1.0 - BETA_2)
                spread = (self.second[name] / second_bias).sqrt_().add_(EPSILON)
                weight.mul_(1.0 - rate * self.weight_decay)
                weight.sub_((self.first[name] / spread).mul_(rate / first_bias))
                weight.grad = None
