"""The rows of a training set in memory, and what says that results belong to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from platform_assets.campaigns.training_sets.ageing import left_out_of
from platform_assets.campaigns.training_sets.training_set import FILE
from platform_assets.foundation.artifacts import Artifact

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from platform_assets.learning.families.fitting import RelatedTask


class OtherTrainingSet(ValueError):
    """Results of another training set than the one at hand; together they would mix up rows."""


@dataclass(frozen=True)
class TrainingRows:
    """A training set in memory.

    Attributes:
        frame: every column of the file.
        key: the entity key's column.
        features: the columns that its models see, in order.
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

        table = pq.ParquetFile(training.path(FILE)).read()
        key, _as_of, _label, _fold, *columns = table.column_names
        left_out = left_out_of(table.schema)
        features = tuple(column for column in columns if column not in left_out)
        return cls(table.to_pandas(), key, features, training.metadata["timezone"])

    @cached_property
    def labels(self) -> "npt.NDArray[np.int64]":
        return self.frame["label"].to_numpy()

    @cached_property
    def people(self) -> "npt.NDArray[np.generic]":
        return self.frame[self.key].to_numpy()

    @cached_property
    def values(self) -> "pd.DataFrame":
        return self.frame[list(self.features)]


def rows_hash(training: Artifact) -> str:
    """The checksum of a training set's rows: what models of it depend on, whatever else is kept with them."""
    return training.files[FILE]


def require_training_set(artifact: Artifact, training: Artifact) -> None:
    """Return when a model or an ensemble was made from this training set.

    Raises:
        OtherTrainingSet: it was not.
    """
    if artifact.metadata["training_set"] != rows_hash(training):
        key = artifact.ref.key
        raise OtherTrainingSet(
            f"{key} was made from another training set than {training.ref.key} holds now; materialise {key} again"
        )


def related_task(name: str, training: Artifact, columns: Sequence[str]) -> "RelatedTask":
    """A training set as a task that others learn from."""
    import numpy as np

    from platform_assets.learning.families.fitting import RelatedTask

    rows = TrainingRows.of(training)
    values = rows.frame.reindex(columns=list(columns)).to_numpy(dtype=np.float64)
    return RelatedTask(name, values, rows.labels.astype(np.int8), rows.frame[rows.key].to_numpy())
