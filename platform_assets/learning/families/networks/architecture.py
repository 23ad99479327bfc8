"""The one network of the network families: a small ensemble of perceptrons that share their weights (TabM-mini).

Belongs here: what the weights are, how they start and the forward pass, written once for numpy arrays and torch tensors.
Does not belong here: training, torch, tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Weights = dict[str, npt.NDArray[Any]]
# Where the steps of the piecewise linear encoding lie: learned from columns alone, not trained.
STEPS = ("step_column", "step_start", "step_slope")
STEP_ROWS = 100
# What belongs to a task; all else is the body.
HEADS = ("head", "head_bias")


def piecewise_steps(inputs: npt.NDArray[np.float32], columns: int, steps: int) -> Weights:
    """`STEPS`: up to `steps` ramps between quantiles of each of the first `columns` columns of `inputs`.

    A ramp goes from 0 at one quantile to 1 at the next (piecewise linear encoding, Gorishniy et al. 2022, "On embeddings
    for numerical features"). There are fewer steps where one would hold less than `STEP_ROWS` rows. A column of two values
    or one has no ramps: it is one already.
    """
    steps = min(steps, len(inputs) // STEP_ROWS)
    column, start, slope = [], [], []
    for position in range(columns):
        distinct, counts = np.unique(inputs[:, position], return_counts=True)
        if not steps or len(distinct) <= 2:
            continue
        # A value that many rows share (no purchase, no gain) counts as one step, or it would leave none for the others.
        mass = np.cumsum(np.minimum(counts, len(inputs) / steps))
        at = np.searchsorted(mass, np.linspace(0.0, mass[-1], steps + 1)[1:-1])
        edges = distinct[np.unique([0, *at, len(distinct) - 1])]
        column += [position] * (len(edges) - 1)
        start += edges[:-1].tolist()
        # A gap of rounding size between two quantiles must not become a cliff.
        slope += (1.0 / np.maximum(np.diff(edges), 1e-3)).tolist()
    return {
        "step_column": np.asarray(column, dtype=np.int64),
        "step_start": np.asarray(start, dtype=np.float32),
        "step_slope": np.asarray(slope, dtype=np.float32),
    }


def initial_weights(
    steps: Weights,
    columns: int,
    hidden_width: int,
    hidden_layers: int,
    members: int,
    base_rates: npt.ArrayLike,
    generator: np.random.Generator,
) -> Weights:
    """Fresh weights over `columns` columns and their `steps`, with one head for each of `base_rates`.

    Members differ by a random sign of each input and by their heads (Gorishniy et al. 2024, "TabM"). Ramps start with zero
    weight, so that the network starts smooth, and heads start at the base rate of their task.
    """
    width, added = hidden_width, len(steps["step_column"])

    def uniform(bound: float, *shape: int) -> npt.NDArray[np.float32]:
        return generator.uniform(-bound, bound, shape).astype(np.float32)

    scale = fresh_scale(columns + added, members, generator)
    first = np.vstack([uniform(columns**-0.5, columns, width), np.zeros((added, width), dtype=np.float32)])
    weights = {**steps, "scale": scale, "weight_0": first, "bias_0": uniform(columns**-0.5, members * width)}
    for layer in range(1, hidden_layers):
        weights[f"weight_{layer}"] = uniform(width**-0.5, width, width)
        weights[f"bias_{layer}"] = uniform(width**-0.5, width)
    return weights | fresh_heads(members, width, base_rates, generator)


def fresh_scale(inputs: int, members: int, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """A random sign for each input and member, (inputs, members, 1): what makes members differ from the start."""
    return generator.choice(np.asarray([-1.0, 1.0], dtype=np.float32), (inputs, members, 1))


def fresh_heads(members: int, width: int, base_rates: npt.ArrayLike, generator: np.random.Generator) -> Weights:
    """One head a member and task, each starting at the base rate of its task."""
    rates = np.asarray(base_rates, dtype=np.float64)
    head = generator.uniform(-(width**-0.5), width**-0.5, (members, width, len(rates)))
    log_odds = np.broadcast_to(np.log(rates / (1.0 - rates)), (members, 1, len(rates)))
    return {"head": head.astype(np.float32), "head_bias": np.ascontiguousarray(log_odds, dtype=np.float32)}


def ramps(weights: Mapping[str, Any], inputs: Any) -> Any:
    """The piecewise linear encoding of `inputs` (n, columns), shape (n, ramps)."""
    return ((inputs[:, weights["step_column"]] - weights["step_start"]) * weights["step_slope"]).clip(0.0, 1.0)


def logits(weights: Mapping[str, Any], inputs: Any, activation: Callable[[Any], Any]) -> Any:
    """Log-odds of each member and task for `inputs` (n, columns), shape (members, n, tasks).

    `weights` and `inputs` are all numpy arrays or all torch tensors; `activation` is applied to every hidden layer.
    """
    members, width, _ = weights["head"].shape
    columns = inputs.shape[1]
    # Members scale their inputs; scaling the rows of the first weights instead makes all of them one product.
    first = (weights["scale"] * weights["weight_0"][:, None, :]).reshape(-1, members * width)
    values = inputs @ first[:columns] + ramps(weights, inputs) @ first[columns:]
    values = activation(values + weights["bias_0"]).reshape(-1, width)
    layer = 1
    while f"weight_{layer}" in weights:
        values = activation(values @ weights[f"weight_{layer}"] + weights[f"bias_{layer}"])
        layer += 1
    return values.reshape(-1, members, width).swapaxes(0, 1) @ weights["head"] + weights["head_bias"]
