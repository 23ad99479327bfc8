"""Why people were picked, in words: the features that raise a person's score most, from their declared descriptions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_assets.learning.bundle import Bundle

TOP = 3
FEATURES_LOOKED_AT = 12
MOST_PEOPLE = 10_000


def reasons_in_words(
    bundle: "Bundle", rows: "pa.Table", leaning: Sequence[str], words: Mapping[str, str]
) -> list[str | None]:
    """For each row, up to three reasons, strongest first, joined by `; `; None when nothing raises the score.

    Where trees hold at least half of the model's weight, a feature is a reason when it adds to the score (TreeSHAP); otherwise
    when the score falls once the feature is put at the training set's median (occlusion).

    Args:
        rows: the features of at most 10,000 people.
        leaning: the features to look for reasons among: those the model leans on most.
        words: feature → what it is, for a reader.
    """
    import math

    from platform_assets.learning.explain import reasons

    if not rows.num_rows:
        return []
    names = list(bundle.feature_names)
    medians = {name: math.nan if value is None else value for name, value in bundle.metadata["medians"].items()}
    sets = {name: [name] for name in leaning}
    limit = MOST_PEOPLE * (len(sets) + 1)
    explained = reasons(bundle, rows.select(names), medians, sets, top=TOP, max_predictions=limit)
    values = {name: rows[name].to_pylist() for name in leaning}
    return [
        "; ".join(_said(words[name], values[name][row]) for name in best if name is not None) or None
        for row, best in enumerate(explained.names)
    ]


def _said(words: str, value: float | None) -> str:
    if value is None or value != value:
        return f"{words}: unknown"
    return f"{words}: {value:,.0f}" if float(value).is_integer() else f"{words}: {value:,.2f}"
