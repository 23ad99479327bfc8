"""Fitting a campaign's models: one cached artifact a fold, and the fan-in of exactly K folds of one training set."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.artifacts import Artifact, ArtifactRef, ArtifactStore, Recipe, code_of
from platform_assets.campaigns.training_set import FILE as TRAINING_FILE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from platform_assets.learning.fold_fit import FoldResult

OOF_FILE = "out_of_fold.safetensors"
FOLDS_FILE = "folds.json"


class OtherTrainingSet(ValueError):
    """Results of another training set than the one at hand; together they would mix up rows."""


@dataclass(frozen=True)
class TrainingRows:
    """A training set in memory.

    Attributes:
        frame: every column of the file.
        key: the entity key's column.
        features: the features' columns, in order.
        timezone: where its as-of times are business dates.
    """

    frame: "pd.DataFrame"
    key: str
    features: tuple[str, ...]
    timezone: str

    @classmethod
    def of(cls, training: Artifact) -> "TrainingRows":
        """The rows of a training-set artifact."""
        import pyarrow.parquet as pq

        frame = pq.ParquetFile(training.path(TRAINING_FILE)).read().to_pandas()
        key, _as_of, _label, _fold, *features = frame.columns
        return cls(frame, str(key), tuple(map(str, features)), training.metadata["timezone"])

    @cached_property
    def labels(self) -> "npt.NDArray[np.int64]":
        return self.frame["label"].to_numpy()

    @cached_property
    def values(self) -> "pd.DataFrame":
        return self.frame[list(self.features)]


def fit_fold_of(
    name: str,
    family: str,
    parameters: Mapping[str, Any],
    fold: int,
    seed: int,
    training: Artifact,
    store: ArtifactStore,
) -> Artifact:
    """Fold `fold` of one model of campaign `name`: found, or fitted on every row of the other folds."""
    from platform_assets.learning.families.registry import family_module

    recipe = Recipe(
        key=f"{name}/models/{family}/fold_{fold}",
        code=code_of("platform_assets.learning.fold_fit", family_module(family)),
        config={"family": family, "parameters": dict(parameters), "fold": fold, "seed": seed},
        inputs={"training_set": training.ref.content_hash},
    )

    def build(folder: Path) -> dict[str, Any]:
        from platform_assets.learning.fold_fit import fit_fold

        rows = TrainingRows.of(training)
        result = fit_fold(
            rows.values,
            rows.labels,
            rows.frame[rows.key].to_numpy(),
            rows.frame["fold"].to_numpy(),
            fold,
            family,
            parameters,
            seed,
            training_set=training.ref.content_hash,
        )
        result.save(folder)
        return {
            "auc": result.auc,
            "log_loss": result.log_loss,
            "best_iteration": result.best_iteration,
            "cpu_seconds": round(result.cpu_seconds, 3),
        }

    return store.get_or_build(recipe, build)


def gather_folds(
    name: str, family: str, folds: int, parts: Sequence[Artifact], training: Artifact, store: ArtifactStore
) -> Artifact:
    """One model: its K folds, and the out-of-fold prediction of every training row.

    Raises:
        IncompleteFolds: the parts are not exactly the K folds of this training set.
    """
    recipe = Recipe(
        key=f"{name}/models/{family}",
        code=code_of("platform_assets.campaigns.fitting"),
        config={"family": family, "folds": folds},
        inputs={
            "training_set": training.ref.content_hash,
            **{f"part {index}": part.ref.content_hash for index, part in enumerate(parts)},
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        from safetensors.numpy import save_file

        from platform_assets.learning import metrics
        from platform_assets.learning.ensemble import IncompleteFolds, fan_in

        results = [load_fold(part) for part in parts]
        foreign = [result.fold for result in results if result.training_set != training.ref.content_hash]
        if foreign:
            raise IncompleteFolds(
                f"{name}/models/{family}: folds {foreign} were fitted on another training set; fit them again"
            )
        out_of_fold = fan_in(results, folds)
        save_file({"predictions": out_of_fold}, folder / OOF_FILE)
        (folder / FOLDS_FILE).write_text(json.dumps([part.ref.to_json() for part in parts], indent=1))
        labels = TrainingRows.of(training).labels
        estimate = metrics.auc_interval(labels, out_of_fold)
        return {
            "family": family,
            "training_set": training.ref.content_hash,
            "auc": estimate.auc,
            "auc_se": estimate.standard_error,
            "log_loss": metrics.log_loss(labels, out_of_fold),
            "fold_auc": [part.metadata["auc"] for part in parts],
            "cpu_seconds": round(sum(part.metadata["cpu_seconds"] for part in parts), 3),
        }

    return store.get_or_build(recipe, build)


def require_training_set(made: Artifact, training: Artifact) -> None:
    """Return when a model or an ensemble was made from this training set.

    Raises:
        OtherTrainingSet: it was not.
    """
    if made.metadata["training_set"] != training.ref.content_hash:
        key = made.ref.key
        raise OtherTrainingSet(
            f"{key} was made from another training set than {training.ref.key} holds now; materialise {key} again"
        )


def load_fold(part: Artifact) -> "FoldResult":
    """The fold result an artifact holds."""
    from platform_assets.learning.fold_fit import FoldResult

    return FoldResult.load(part.folder())


def folds_of(model: Artifact, store: ArtifactStore) -> list["FoldResult"]:
    """The fold results a gathered model consists of, in order of fold."""
    refs = json.loads(Path(model.path(FOLDS_FILE)).read_text())
    return [load_fold(store.open(ArtifactRef.from_json(ref))) for ref in refs]


def out_of_fold(model: Artifact) -> "npt.NDArray[np.float64]":
    """The out-of-fold prediction of every training row, shape (n,)."""
    from safetensors.numpy import load_file

    return load_file(model.path(OOF_FILE))["predictions"]
