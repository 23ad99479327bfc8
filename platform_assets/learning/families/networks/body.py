"""A pre-trained body: what a network learned from earlier tasks about the columns they share, kept as a folder.

Belongs here: training a body over several tasks, its files, and laying it under a table whose columns are partly other
ones. Does not belong here: fine-tuning it to a table (`transfer`), deciding when a body is trained anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from platform_assets.learning.families.estimator import Floats
from platform_assets.learning.families.fitting import CannotFit, Fitting, RelatedTask
from platform_assets.learning.families.networks.architecture import (
    HEADS,
    STEPS,
    Weights,
    fresh_heads,
    fresh_scale,
    piecewise_steps,
    ramps,
)
from platform_assets.learning.families.networks.network import NetworkClassifier, read_weights, write_weights
from platform_assets.learning.families.preprocessing import TablePreprocessor
from platform_assets.learning.folds import inner_validation

BODY_FILE = "body.json"
FRESH = -1


class BodyDoesNotFit(CannotFit):
    """The body cannot be laid under the table; the message says why and what to do."""


def pretrain_body(
    tasks: Sequence[RelatedTask],
    feature_names: Sequence[str],
    folder: Path,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    fitting: Fitting | None = None,
) -> None:
    """Train one body under a head for each of `tasks`, and write it into `folder`.

    `feature_names` are the columns of every task's `X`, in order; `params` are those of `NetworkClassifier`. Training is
    stopped by the mean log loss over all tasks of people held out of all of them. `Fitting.tasks` and `Fitting.body` play no
    part. Raises ValueError when there is no task, or a task has other columns or one class; TrainingDiverged.
    """
    cpu_from = time.process_time()
    fitting = fitting or Fitting()
    if not tasks:
        raise ValueError("A body needs at least one task to be trained on; none was given.")
    for task in tasks:
        if task.X.shape[1] != len(feature_names):
            raise ValueError(
                f'The task "{task.name}" has {task.X.shape[1]} columns, but {len(feature_names)} feature names were given.'
            )
        if len(np.unique(task.y)) != 2:
            raise ValueError(f'The task "{task.name}" has labels of one class only; leave it out.')
    network = NetworkClassifier(**dict(params or {}), random_state=seed)
    X, y = np.vstack([task.X for task in tasks]), np.concatenate([task.y for task in tasks])
    of_task = np.repeat(np.arange(len(tasks)), [len(task.y) for task in tasks])
    held_out = None
    if fitting.rounds is None:
        people = np.concatenate([task.groups for task in tasks])
        held_out = inner_validation(y, people, network.validation_fraction, seed)
    trained = network.learn(X, y, of_task, held_out, fitting, cpu_from)
    weights = {name: part for name, part in trained.weights.items() if name not in HEADS}
    Body(tuple(feature_names), network.preprocessor_, weights).save(folder)


@dataclass(frozen=True)
class Body:
    """`weights` without heads, over the inputs that `preprocessor` makes of `columns`."""

    columns: tuple[str, ...]
    preprocessor: TablePreprocessor
    weights: Weights

    def save(self, folder: Path) -> None:
        """Write the body into `folder` as JSON and safetensors; never a pickle."""
        folder.mkdir(parents=True, exist_ok=True)
        write_weights(self.weights, folder)
        state = {"columns": self.columns, "preprocessor": self.preprocessor.to_json()}
        (folder / BODY_FILE).write_text(json.dumps(state, indent=1, sort_keys=True, allow_nan=False))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The body that `save` wrote into `folder`."""
        state = json.loads((folder / BODY_FILE).read_text())
        preprocessor = TablePreprocessor.from_json(state["preprocessor"])
        return cls(tuple(state["columns"]), preprocessor, read_weights(folder))

    def under(
        self,
        columns: Sequence[str],
        X: Floats,
        bins: int,
        base_rates: Sequence[float],
        generator: np.random.Generator,
    ) -> tuple[TablePreprocessor, Weights]:
        """The preprocessor and starting weights for a table `X` (n, d) of `columns`: this body, with fresh heads.

        A column that the body knows by name is read as the body reads it. One that it does not know is preprocessed as `X`
        has it, with up to `bins` ramps, and starts with weights of zero, so that training starts from what the body says.
        One that the table lacks is taken at its median. Raises BodyDoesNotFit when no column is known.
        """
        known = {name: position for position, name in enumerate(self.columns)}
        sources = np.asarray([known.get(name, FRESH) for name in columns])
        if (sources == FRESH).all():
            raise BodyDoesNotFit(
                f"The body was trained on other columns ({', '.join(self.columns[:5])}, …) and shares none with the table "
                f"({', '.join(list(columns)[:5])}, …): train one on the table's columns, or fit without a body."
            )
        preprocessor = self._preprocessor_for(sources, X)
        steps, of_ramps = self._steps_for(sources, preprocessor.transform(X).astype(np.float32), bins)
        theirs = {int(column): len(self.columns) + i for i, column in enumerate(self.preprocessor.flagged_)}
        of_flags = [theirs.get(int(sources[column]), FRESH) for column in preprocessor.flagged_]
        of_inputs = np.concatenate([sources, np.asarray(of_flags, dtype=np.int64), of_ramps])

        members, width = self.weights["scale"].shape[1], self.weights["weight_0"].shape[1]
        scale = fresh_scale(len(of_inputs), members, generator)
        first = np.zeros((len(of_inputs), width), dtype=np.float32)
        taken = of_inputs != FRESH
        scale[taken] = self.weights["scale"][of_inputs[taken]]
        first[taken] = self.weights["weight_0"][of_inputs[taken]]
        weights = {
            **self.weights,
            **steps,
            "scale": scale,
            "weight_0": first,
            "bias_0": self.weights["bias_0"] + self._from_absent(sources),
        }
        return preprocessor, weights | fresh_heads(members, width, base_rates, generator)

    def _preprocessor_for(self, sources: npt.NDArray[np.int64], X: Floats) -> TablePreprocessor:
        own, body = TablePreprocessor().fit(X).to_json(), self.preprocessor.to_json()
        for position, source in enumerate(sources):
            if source != FRESH:
                for learned in ("median", "mean", "scale"):
                    own[learned][position] = body[learned][source]
        theirs = [position for position, source in enumerate(sources) if source in set(body["flagged"])]
        own["flagged"] = sorted({*own["flagged"], *theirs})
        return TablePreprocessor.from_json(own)

    def _steps_for(
        self, sources: npt.NDArray[np.int64], inputs: npt.NDArray[np.float32], bins: int
    ) -> tuple[Weights, npt.NDArray[np.int64]]:
        """`STEPS` for a table's columns, and for each ramp the input of the body it comes from, or `FRESH`."""
        own = piecewise_steps(inputs, len(sources), bins)
        parts, columns, of_ramps = [], [], []
        for position, source in enumerate(sources):
            known = source != FRESH
            steps = self.weights if known else own
            at = np.flatnonzero(steps["step_column"] == (source if known else position))
            parts.append({name: steps[name][at] for name in STEPS})
            columns.append(np.full(len(at), position))
            of_ramps.append(self.preprocessor.n_features_out_ + at if known else np.full(len(at), FRESH))
        steps = {name: np.concatenate([part[name] for part in parts]) for name in STEPS}
        return steps | {"step_column": np.concatenate(columns)}, np.concatenate(of_ramps)

    def _from_absent(self, sources: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """What the columns that a table lacks add before the first activation, each at its median."""
        absent = ~np.isin(np.arange(len(self.columns)), sources)
        medians = self.preprocessor.transform(self.preprocessor.median_[None, :]).astype(np.float32)
        inputs = np.concatenate([medians, ramps(self.weights, medians)], axis=1)[0]
        flags = np.zeros(len(self.preprocessor.flagged_), dtype=bool)
        counted = np.concatenate([absent, flags, absent[self.weights["step_column"]]])
        added = (self.weights["scale"] * self.weights["weight_0"][:, None, :])[counted] * inputs[counted, None, None]
        return added.sum(axis=0).reshape(-1)
