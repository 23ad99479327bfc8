"""AdamW (Loshchilov and Hutter 2019, "Decoupled weight decay regularization") on named tensors, by torch's own kernel.

Belongs here: the optimiser's state, and calling what steps it. Does not belong here: what is optimised, schedules.
`torch.optim.AdamW` calls the same kernel to the same bits, and imports torch's compiler to do so: a fit of 3,000 rows
costs 2.1 CPU-seconds with it and 0.8 without (`python -m benchmarks.libraries adamw`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


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
        for rate in set(rates.values()):
            names = [name for name, own in rates.items() if own == rate]
            weights = [self.weights[name] for name in names]
            gradients = [weight.grad for weight in weights if weight.grad is not None]
            steps = torch.full((), float(self.steps), device=weights[0].device)
            with torch.no_grad():
                torch._fused_adamw_(
                    weights,
                    gradients,
                    [self.first[name] for name in names],
                    [self.second[name] for name in names],
                    [],
                    [steps] * len(names),
                    lr=rate,
                    beta1=0.9,
                    beta2=0.999,
                    weight_decay=self.weight_decay,
                    eps=1e-8,
                    amsgrad=False,
                    maximize=False,
                )
            for weight in weights:
                weight.grad = None
