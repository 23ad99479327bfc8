"""What a fit is given besides rows and labels: what may be spent, what is known from before, who watches, where it left off.

Belongs here: the few things that every family is offered; a family without a use for one leaves it alone. Does not belong
here: how any family fits, where checkpoints and progress are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd


class CannotFit(RuntimeError):
    """A family cannot fit these rows with these parameters, however often it tries; the message says why."""


@dataclass(frozen=True)
class Progress:
    """What a model tells after a round (boosting) or an epoch (network).

    `round` counts from 1. Losses are mean log losses, None where there is nothing to measure them on. `rows_per_second` is
    training rows seen a second of wall time since the progress before.
    """

    round: int
    learning_rate: float
    train_loss: float | None
    validation_loss: float | None
    rows_per_second: float


class Checkpoints(Protocol):
    """One place for the latest state of one fit. Both calls are atomic: there is a whole state, or none."""

    def load(self) -> bytes | None:
        """The state kept last, or None."""

    def save(self, state: bytes) -> None:
        """Keep `state` in place of the one before."""


@dataclass(frozen=True)
class RelatedTask:
    """Another question about people of the same kind, with labels that were known before.

    `X` (m, d) has the columns of the table to be fitted, `y` (m,) is coded 0/1, `groups` (m,) are entity ids as there.
    """

    name: str
    X: npt.NDArray[np.float64]
    y: npt.NDArray[np.int8]
    groups: npt.NDArray[np.generic]

    def without(self, groups: npt.ArrayLike) -> RelatedTask:
        """The task without the rows of these entities: held-out people are not learned from through another question.

        Ids are compared as text, as folds are assigned: 17 and "17" are the same entity.
        """
        held_out = set(pd.Series(groups).astype(str))
        kept = ~pd.Series(self.groups).astype(str).isin(held_out).to_numpy()
        return RelatedTask(self.name, self.X[kept], self.y[kept], self.groups[kept])


@dataclass(frozen=True)
class Fitting:
    """How one estimator is to be fitted.

    Attributes:
        rounds: fit exactly so many rounds or epochs on all rows, without a validation part: a refit.
        tasks: what families that learn several questions at once learn beside the labels.
        body: folder of a pre-trained body, for the family that starts from one.
        cpu_seconds: CPU-seconds of this process that may be spent. The round in which they are used up is the last one, and
            the estimator says so (`ended_by_`). None: no limit.
        report: called with the progress of every round, or of every few where rounds take milliseconds.
        checkpoints: where to take up an earlier attempt at the same fit, and to leave this one's state.
        checkpoint_seconds: wall seconds between two states: what a kill costs at most, give or take a round.
    """

    rounds: int | None = None
    tasks: tuple[RelatedTask, ...] = ()
    body: Path | None = None
    cpu_seconds: float | None = None
    report: Callable[[Progress], None] | None = None
    checkpoints: Checkpoints | None = None
    checkpoint_seconds: float = 60.0
