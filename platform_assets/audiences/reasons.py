"""Why people were picked, in words: the features that raise a person's score most, from their declared descriptions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_assets.learning.bundle import Bundle

TOP = 3
MOST_PEOPLE = 10_000


def reasons_in_words(bundle: "Bundle", rows: "pa.Table", words: Mapping[str, str]) -> list[str | None]:
    """For each row, up to three reasons, strongest first, joined by `; `; None when nothing raises the score.

    A feature is a reason when the score falls once the feature is put at the training set's median (occlusion).

    Args:
        rows: the features of at most 10,000 people.
        words: feature → what it is, for a reader.
    """
    import math

    from platform_assets.learning.explain import occlusion_reasons

    if not rows.num_rows:
        return []
    names = list(bundle.feature_names)
    medians = {name: math.nan if value is None else value for name, value in bundle.metadata["medians"].items()}
    found = occlusion_reasons(bundle, rows.select(names), medians, top=TOP, max_predictions=MOST_PEOPLE * (len(names) + 1))
    values = {name: rows[name].to_pylist() for name in names}
    return [
        "; ".join(_said(words[name], values[name][row]) for name in best if name is not None) or None
        for row, best in enumerate(found.names)
    ]


def _said(words: str, value: float | None) -> str:
    if value is None or value != value:
        return f"{words}: unknown"
    return f"{words}: {value:,.0f}" if float(value).is_integer() else f"{words}: {value:,.2f}"
