"""The "lightgbm" family: gradient boosted trees, slow and small, stopped on an inner validation part.

Belongs here: everything that touches LightGBM. Does not belong here: folds, ensembles, calibration.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.folds import inner_validation

if TYPE_CHECKING:
    from lightgbm import Booster

BOOSTER_FILE = "booster.txt"


class LightGBMClassifier(TableClassifier):
    """LightGBM on binary log loss; the same rows, parameters and thread count give the same trees.

    `max_iterations` is a ceiling: fitting stops when the log loss of the inner validation part
    (`validation_fraction` of the entities, or of the rows without groups) has not improved for
    `early_stopping_rounds`, and keeps the best round. Where too few rows could be held out,
    `unvalidated_iterations` are fitted on all rows, fewer when no split is left. The remaining parameters are
    LightGBM's own, by its names.
    """

    booster_: Booster

    def __init__(
        self,
        learning_rate: float = 0.05,
        num_leaves: int = 8,
        extra_trees: bool = True,
        min_data_in_leaf: int = 20,
        feature_fraction: float = 0.7,
        bagging_fraction: float = 0.7,
        lambda_l2: float = 10.0,
        max_bin: int = 63,
        max_iterations: int = 2000,
        early_stopping_rounds: int = 25,
        unvalidated_iterations: int = 100,
        validation_fraction: float = 0.15,
        num_threads: int = 1,
        random_state: int = 0,
    ) -> None:
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.extra_trees = extra_trees
        self.min_data_in_leaf = min_data_in_leaf
        self.feature_fraction = feature_fraction
        self.bagging_fraction = bagging_fraction
        self.lambda_l2 = lambda_l2
        self.max_bin = max_bin
        self.max_iterations = max_iterations
        self.early_stopping_rounds = early_stopping_rounds
        self.unvalidated_iterations = unvalidated_iterations
        self.validation_fraction = validation_fraction
        self.num_threads = num_threads
        self.random_state = random_state

    def _fit(self, X: Floats, y: npt.NDArray[np.int8], groups: npt.ArrayLike | None, fitting: Fitting) -> None:
        import lightgbm

        settings = {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "extra_trees": self.extra_trees,
            "extra_seed": self.random_state,
            "min_data_in_leaf": self.min_data_in_leaf,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.lambda_l2,
            "max_bin": self.max_bin,
            "num_threads": self.num_threads,
            "seed": self.random_state,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        held_out = inner_validation(y, groups, self.validation_fraction, self.random_state)
        if held_out is None:
            trained = lightgbm.train(settings, lightgbm.Dataset(X, y), self.unvalidated_iterations)
            self.best_iteration_ = trained.current_iteration()
        else:
            fitting = lightgbm.Dataset(X[~held_out], y[~held_out])
            validating = lightgbm.Dataset(X[held_out], y[held_out], reference=fitting)
            losses: dict[str, Any] = {}
            trained = lightgbm.train(
                settings,
                fitting,
                self.max_iterations,
                valid_sets=[validating],
                valid_names=["validation"],
                callbacks=[
                    lightgbm.early_stopping(self.early_stopping_rounds, verbose=False),
                    lightgbm.record_evaluation(losses),
                ],
            )
            self.best_iteration_ = trained.best_iteration
            self.history_ = [float(loss) for loss in losses["validation"]["binary_logloss"]]
        # Through the text once, so that the fitted and the reloaded booster are the same one.
        text = trained.model_to_string(num_iteration=self.best_iteration_)
        self.booster_ = lightgbm.Booster(model_str=text)

    def positive_probability(self, X: Floats) -> Floats:
        return np.asarray(self.booster_.predict(X, num_threads=self.num_threads), dtype=np.float64)

    def _write(self, folder: Path) -> dict[str, Any]:
        (folder / BOOSTER_FILE).write_text(self.booster_.model_to_string())
        return {}

    def _read(self, folder: Path, fitted: dict[str, Any]) -> None:
        import lightgbm

        self.booster_ = lightgbm.Booster(model_str=(folder / BOOSTER_FILE).read_text())
