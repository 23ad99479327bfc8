"""The "multitask" family: a network that learns other campaigns' questions about the same people beside its own.

Belongs here: how rows of several tasks become one training. Does not belong here: which tasks are related, the network
(`network`), the loop (`training`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from platform_assets.learning.families.estimator import Floats
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.networks.network import Labels, Mask, NetworkClassifier
from platform_assets.learning.families.networks.training import Course, Rows
from platform_assets.learning.families.parameters.multitask import Parameters


class MultitaskClassifier(NetworkClassifier, Parameters):
    """`NetworkClassifier` with one head for each task on a shared bottom (Caruana 1997, "Multitask learning").

    The tasks are the table's own label and `Fitting.tasks`. A row has a label for one task, and only that task's head is
    held to it: the loss is masked. Fitting is stopped by the own task alone, and people of the inner validation part are
    left out of every task. An epoch holds all own rows and, drawn anew, up to `related_rows` rows of other tasks for each of
    them: however much is known of other questions, the own one is heard. Prediction is the own head's, at the cost of a
    plain network. Without tasks the family is a plain network. The other parameters are those of
    `NetworkClassifier`; `dropout` is on, because own labels are few where others help.
    """

    def _course(self, rows: Rows, validating: Rows | None, fitting: Fitting) -> Course:
        course = super()._course(rows, validating, fitting)
        own = int((rows.tasks == 0).sum())
        related = min(len(rows.labels) - own, round(self.related_rows * own))
        return replace(course, related_rows=related, **self._pace(own + related))

    def _all_tasks(
        self, X: Floats, y: Labels, groups: npt.ArrayLike | None, held_out: Mask | None, fitting: Fitting
    ) -> tuple[Floats, Labels, npt.NDArray[np.int64], Mask | None]:
        related = fitting.tasks
        for task in related:
            if task.X.shape[1] != X.shape[1]:
                raise ValueError(
                    f'The related task "{task.name}" has {task.X.shape[1]} columns and the table {X.shape[1]}: '
                    "give every task the table's columns, in its order."
                )
        if held_out is not None and related:
            if groups is None:
                raise ValueError(
                    "Related tasks were given, but no groups: without the entity of each row the people that the fit is "
                    "stopped by cannot be kept out of the tasks. Give groups."
                )
            entities = np.asarray(groups)[held_out]
            related = tuple(task.without(entities) for task in related)
            held_out = np.concatenate([held_out, *(np.zeros(len(task.y), dtype=bool) for task in related)])
        return (
            np.vstack([X, *(task.X for task in related)]),
            np.concatenate([y, *(task.y for task in related)]),
            np.repeat(np.arange(len(related) + 1), [len(y), *(len(task.y) for task in related)]),
            held_out,
        )
