"""One model as people use it: fold models of every weighted member, their weights, and the calibration, in a
folder.

Belongs here: predicting with what was fitted, and storing it so that it loads anywhere to the same last bit.
Does not belong here: fitting, choosing weights, deciding which bundle is promoted.

A folder holds `bundle.json` (format, columns in order, members, calibration, metadata, hashes) and `members/<number>/<fold>/`, which
the estimator's family writes. JSON, text and safetensors; no pickle, so that a folder from anywhere can do no more than
predict wrongly. That its bytes are those saved is for whoever keeps it to check; the artifact store does so for every file.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.learning.calibration import Calibrator, calibrator_from_json
from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.selection import load_estimator

BUNDLE_FILE = "bundle.json"
FORMAT = 1


class BundleDamaged(ValueError):
    """A folder holds no bundle, or one that cannot be read; the message names the file."""


class WrongColumns(ValueError):
    """A table's columns are not the bundle's, by name and order; the message names the difference."""


@dataclass(frozen=True)
class Member:
    """One model of an ensemble: its name, family, weight above zero, and its fold models, whose mean it
    predicts.
    """

    name: str
    family: str
    weight: float
    models: tuple[TableClassifier, ...]

    def predict(self, values: Floats) -> Floats:
        """Mean probability over the fold models (n,) for `values` (n, d) in the fitted column order."""
        total = np.zeros(len(values))
        for model in self.models:
            # Names were checked once for the bundle; the bare array spares a check and a copy a fold.
            total += model.positive_probability(values)
        return total / len(self.models)


@dataclass(frozen=True)
class Bundle:
    """Weighted members, calibration, the columns in their order, and JSON metadata. Made by `Bundle.of`."""

    members: tuple[Member, ...]
    calibrator: Calibrator | None
    feature_names: tuple[str, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        weights: Mapping[str, float],
        models: Mapping[str, tuple[str, Sequence[TableClassifier]]],
        calibrator: Calibrator | None,
        feature_names: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
    ) -> Self:
        """A bundle of the members of `weights` that weigh more than zero; weights are scaled to sum to 1.

        `models` maps a member's name to (family, its fold models), fitted on columns in the order of
        `feature_names`. Raises ValueError when nothing weighs more than zero, a weighted member has no
        models, or columns differ.
        """
        total = sum(weights.values())
        if min(weights.values(), default=0) < 0 or not total > 0:
            raise ValueError("A bundle needs weights that are not negative, one of them above zero.")
        members = []
        for name, weight in weights.items():
            if weight == 0:
                continue
            if not models.get(name, ("", ()))[1]:
                raise ValueError(f'Member "{name}" weighs {weight} but has no fold models.')
            family, fitted = models[name]
            for model in fitted:
                _require_columns(getattr(model, "feature_names_in_", feature_names), feature_names, f'member "{name}"')
                if model.n_features_in_ != len(feature_names):
                    raise WrongColumns(
                        f'Member "{name}" was fitted on {model.n_features_in_} columns, not {len(feature_names)}.'
                    )
            members.append(Member(name, family, weight / total, tuple(fitted)))
        return cls(tuple(members), calibrator, tuple(feature_names), dict(metadata or {}))

    def predict(self, X: Any) -> Floats:
        """Calibrated probabilities (n,) for a data frame or an Arrow table.

        Raises WrongColumns unless the columns are the bundle's in its order, and ValueError on infinities.
        """
        return self.predict_values(self.values(X))

    def predict_values(self, values: Floats) -> Floats:
        """As `predict`, for a float64 array (n, d) that `values` returned or whose columns are known to be
        right.
        """
        raw = np.zeros(len(values))
        if not len(values):
            return raw
        for member in self.members:
            raw += member.weight * member.predict(values)
        return raw if self.calibrator is None else self.calibrator.predict(np.clip(raw, 0.0, 1.0))

    def values(self, X: Any) -> Floats:
        """`X` as a float64 array (n, d), NaN for missing, once its columns are found to be the bundle's, in
        order.
        """
        values, names = _values_and_names(X)
        _require_columns(names, self.feature_names, "the table")
        if np.isinf(values).any():
            columns = [names[position] for position in np.flatnonzero(np.isinf(values).any(axis=0))]
            raise ValueError(f"Columns {', '.join(columns)} hold infinities; leave missing values null.")
        return values

    def save(self, folder: Path) -> None:
        """Write the bundle into `folder`, which must be empty or absent, all at once.

        Raises FileExistsError when `folder` holds anything.
        """
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty; save a bundle into a folder of its own.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            members = []
            for number, member in enumerate(self.members):
                # Numbers, not names: a member's name may hold what a path must not.
                paths = [f"members/{number}/{fold}" for fold in range(len(member.models))]
                for path, model in zip(paths, member.models, strict=True):
                    model.save(aside / path)
                members.append({"name": member.name, "family": member.family, "weight": member.weight, "models": paths})
            content = {
                "format": FORMAT,
                "feature_names": list(self.feature_names),
                "members": members,
                "calibrator": None if self.calibrator is None else self.calibrator.to_json(),
                "metadata": dict(self.metadata),
                "files": {path.relative_to(aside).as_posix(): _sha256(path.read_bytes()) for path in _files(aside)},
            }
            # Code of older commits, which pinned campaigns run, loads no bundle without these hashes.
            content["content_hash"] = _sha256(
                json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
            )
            (aside / BUNDLE_FILE).write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False))
            aside.chmod(0o755)
            os.replace(aside, folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The bundle saved in `folder`. Raises BundleDamaged when it is none, or lacks what it needs."""
        folder = Path(folder)
        described = folder / BUNDLE_FILE
        if not described.is_file():
            raise BundleDamaged(f"{described} does not exist; this folder holds no bundle.")
        try:
            content = json.loads(described.read_text())
            if content["format"] != FORMAT:
                raise BundleDamaged(f"{described} has format {content['format']}; this version reads format {FORMAT}.")
            calibrator = None if content["calibrator"] is None else calibrator_from_json(content["calibrator"])
            names, metadata = tuple(content["feature_names"]), content["metadata"]
            members = [(each["name"], each["family"], each["weight"], each["models"]) for each in content["members"]]
        except BundleDamaged:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise BundleDamaged(
                f"{described} is not a bundle's description ({error}); train or restore the model again."
            ) from error
        fitted = (
            Member(name, family, weight, tuple(_model(family, folder / path) for path in paths))
            for name, family, weight, paths in members
        )
        return cls(tuple(fitted), calibrator, names, metadata)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _model(family: str, folder: Path) -> TableClassifier:
    try:
        return load_estimator(family, folder)
    except Exception as error:
        raise BundleDamaged(
            f"{folder} holds no {family} model that can be read ({error!r}); train or restore the model again."
        ) from error


def _values_and_names(X: Any) -> tuple[Floats, list[str]]:
    if isinstance(X, pd.DataFrame):
        values, names = X.to_numpy(dtype=np.float64, na_value=np.nan), [str(name) for name in X.columns]
    else:
        names = list(X.column_names)
        columns = [np.asarray(X.column(i).to_numpy(zero_copy_only=False), dtype=np.float64) for i in range(len(names))]
        values = np.column_stack(columns) if columns else np.empty((X.num_rows, 0))
    return np.ascontiguousarray(values), names


def _require_columns(columns: Sequence[str] | npt.NDArray[Any], wanted: Sequence[str], whose: str) -> None:
    columns, wanted = [str(name) for name in columns], list(wanted)
    if columns == wanted:
        return
    missing = [name for name in wanted if name not in columns]
    extra = [name for name in columns if name not in wanted]
    faults = [f"missing {', '.join(missing)}"] if missing else []
    faults += [f"not expected {', '.join(extra)}"] if extra else []
    if not faults:
        place = next(
            (i for i, pair in enumerate(zip(columns, wanted, strict=False)) if pair[0] != pair[1]), len(wanted)
        )
        was, due = (names[place] if place < len(names) else "nothing" for names in (columns, wanted))
        faults = [f'in another order: position {place} is "{was}" and should be "{due}"']
    raise WrongColumns(
        f"The columns of {whose} are not the bundle's: {'; '.join(faults)}. Give them by name, in order."
    )
