"""The "network" family: a small ensemble of perceptrons over one table, fitted by torch and predicting by numpy.

Belongs here: how a table becomes a network's inputs, and predicting. Does not belong here: the forward pass
(`architecture`), the training loop (`training`), what is learned from other tasks (`multitask`, `transfer`). A process that
only scores never loads torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.networks.architecture import (
    HEADS,
    Weights,
    initial_weights,
    logits,
    piecewise_steps,
)
from platform_assets.learning.families.networks.training import Course, Rows, Trained, train
from platform_assets.learning.families.parameters.network import Parameters
from platform_assets.learning.families.preprocessing import TablePreprocessor
from platform_assets.learning.folds import inner_validation

Labels = npt.NDArray[np.int8]
Mask = npt.NDArray[np.bool_]
WEIGHTS_FILE = "weights.safetensors"
PREDICT_ROWS = 1024
# An epoch has about so many steps where the table is small.
STEPS_AN_EPOCH = 32


class NetworkClassifier(TableClassifier, Parameters):
    """A TabM-mini on a `TablePreprocessor`'s columns and their piecewise linear encoding, by AdamW on log loss.

    `members` perceptrons of `hidden_layers` ReLU layers of `hidden_width` share all weights but the scales of their inputs
    and their heads (Gorishniy et al. 2024, "TabM"); the prediction is the mean of their probabilities. Each column is also
    given as up to `bins` ramps between its quantiles (Gorishniy et al. 2022, "On embeddings for numerical features"). What is
    validated and kept is a running mean of the weights (decay `averaging` a step), so that the learning rate may stay as it
    is, and fitting exactly as many epochs on all rows (`Fitting.rounds`) repeats what was validated.

    Fitting stops when the log loss of the inner validation part (`validation_fraction` of the entities, or of
    the rows without groups) has not improved for `patience` epochs, and keeps the best epoch. Where too few
    rows could be held out, exactly `unvalidated_epochs` are run on all rows. A batch is `batch_size` rows,
    fewer for small tables so that an epoch has about 32 steps; `learning_rate` is that of a whole batch, and falls with the
    square root of a smaller one (Malladi et al. 2022, "On the SDEs and scaling rules for adaptive gradient algorithms").
    `device` is "auto" (CUDA when torch finds it), "cpu" or "cuda"; on a CPU the same rows and parameters give the same weights.

    Rows are predicted in zero-padded batches of one fixed shape on one thread: a row's float32 result does
    not depend on which rows come with it.
    """

    preprocessor_: TablePreprocessor
    weights_: Weights

    def _fit(self, X: Floats, y: npt.NDArray[np.int8], groups: npt.ArrayLike | None, fitting: Fitting) -> None:
        cpu_from = time.process_time()
        held_out = None
        if fitting.rounds is None:
            held_out = inner_validation(y, groups, self.validation_fraction, self.random_state)
        X, y, tasks, held_out = self._all_tasks(X, y, groups, held_out, fitting)
        trained = self.learn(X, y, tasks, held_out, fitting, cpu_from)
        # The first task is the estimator's own; the other heads were company.
        self.weights_ = {
            name: np.ascontiguousarray(part[..., :1]) if name in HEADS else part
            for name, part in trained.weights.items()
        }
        self.best_iteration_, self.history_ = trained.best_iteration, trained.history
        self.ended_by_ = trained.ended_by

    def _all_tasks(
        self, X: Floats, y: Labels, groups: npt.ArrayLike | None, held_out: Mask | None, fitting: Fitting
    ) -> tuple[Floats, Labels, npt.NDArray[np.int64], Mask | None]:
        """The rows to `learn` from: the table alone; a family that learns from more adds it here."""
        return X, y, np.zeros(len(y), dtype=np.int64), held_out

    def learn(
        self,
        X: Floats,
        y: Labels,
        tasks: npt.NDArray[np.int64],
        held_out: Mask | None,
        fitting: Fitting,
        cpu_from: float,
    ) -> Trained:
        """Train on rows of one task or several: `tasks` (n,) numbers the task whose label `y` (n,) is, from 0.

        `held_out` (n,) are the rows to stop by. Sets `preprocessor_`; the heads of the weights returned are in the order of
        the tasks.
        """
        seen = np.ones(len(y), dtype=bool) if held_out is None else ~held_out
        of_tasks = [y[seen & (tasks == task)] for task in range(tasks.max() + 1)]
        # Half a row of each class more, or a task of one class would start infinitely sure.
        base_rates = [(float(labels.sum()) + 0.5) / (len(labels) + 1.0) for labels in of_tasks]
        self.preprocessor_, weights = self._start(X[seen], base_rates, fitting)

        def rows_of(part: Mask) -> Rows:
            return Rows(self.preprocessor_.transform(X[part]).astype(np.float32), y[part], tasks[part])

        rows = rows_of(seen)
        validating = None if held_out is None else rows_of(held_out)
        return train(weights, rows, validating, self._course(rows, validating, fitting), fitting, cpu_from)

    def _start(self, X: Floats, base_rates: Sequence[float], fitting: Fitting) -> tuple[TablePreprocessor, Weights]:
        """The preprocessor of `X`, and the weights from which training starts, with a head for each base rate."""
        preprocessor = TablePreprocessor().fit(X)
        inputs = preprocessor.transform(X).astype(np.float32)
        weights = initial_weights(
            piecewise_steps(inputs, X.shape[1], self.bins),
            inputs.shape[1],
            self.hidden_width,
            self.hidden_layers,
            self.members,
            base_rates,
            np.random.default_rng(self.random_state),
        )
        return preprocessor, weights

    def _course(self, rows: Rows, validating: Rows | None, fitting: Fitting) -> Course:
        epochs = self.unvalidated_epochs if validating is None else self.max_epochs
        return Course(
            **self._pace(len(rows.labels)),
            weight_decay=self.weight_decay,
            dropout=self.dropout,
            averaging=self.averaging,
            epochs=epochs if fitting.rounds is None else fitting.rounds,
            patience=self.patience,
            device=self.device,
            num_threads=self.num_threads,
            seed=self.random_state,
        )

    def _pace(self, rows_an_epoch: int) -> dict[str, Any]:
        """The batch size and the learning rate of a `Course` with so many rows an epoch."""
        batch_size = min(self.batch_size, max(32, rows_an_epoch // STEPS_AN_EPOCH))
        return {"batch_size": batch_size, "learning_rate": self.learning_rate * (batch_size / self.batch_size) ** 0.5}

    def positive_probability(self, X: Floats) -> Floats:
        inputs = self.preprocessor_.transform(X)
        positive = np.empty(len(X), dtype=np.float64)
        padded = np.zeros((PREDICT_ROWS, inputs.shape[1]), dtype=np.float32)
        with threadpool_limits(1, user_api="blas"):
            for start in range(0, len(X), PREDICT_ROWS):
                rows = min(PREDICT_ROWS, len(X) - start)
                padded[:rows] = inputs[start : start + rows]
                padded[rows:] = 0.0
                members = expit(logits(self.weights_, padded, _relu)[:, :, 0].astype(np.float64))
                # The mean of the whole batch: numpy adds up a narrower array in another order.
                positive[start : start + rows] = members.mean(axis=0)[:rows]
        return positive

    def _write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.weights_, folder)
        return {"preprocessor": self.preprocessor_.to_json()}

    def _read(self, folder: Path, fitted: dict[str, Any]) -> None:
        self.weights_ = read_weights(folder)
        self.preprocessor_ = TablePreprocessor.from_json(fitted["preprocessor"])


def write_weights(weights: Weights, folder: Path) -> None:
    """Write `weights` into `folder`."""
    from safetensors.numpy import save_file

    # safetensors writes the buffer behind a strided view, not the view.
    save_file({name: np.ascontiguousarray(part) for name, part in weights.items()}, folder / WEIGHTS_FILE)


def read_weights(folder: Path) -> Weights:
    """The weights that `write_weights` wrote into `folder`."""
    from safetensors.numpy import load_file

    return load_file(folder / WEIGHTS_FILE)


def _relu(values: Any) -> Any:
    return np.maximum(values, 0.0)
