"""Choosing an audience: who is eligible, who is in, in which order, and who is held out.

Plain functions over Arrow tables; nothing here reads a warehouse or a model.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.spec import Audience

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

TREAT, HOLDOUT = "treat", "holdout"


def rank_order(ids: Sequence[Any], scores: "npt.NDArray[np.float64]", seed: str) -> "npt.NDArray[np.int64]":
    """Positions from the highest score to the lowest; equal scores in the order of a hash of seed and id.

    The hash keeps people with low ids, who joined first, from winning every tie.
    """
    import numpy as np

    ties = np.array([_hash_unit(f"{seed}/{identity}") for identity in ids])
    return np.lexsort((ties, -scores))


def deciles(ranks: "npt.NDArray[np.int64]") -> "npt.NDArray[np.int64]":
    """1 for the tenth of people ranked highest … 10 for the lowest; `ranks` count from 1."""
    import numpy as np

    return np.minimum(10, np.ceil(ranks * 10 / len(ranks)).astype(np.int64))


def audience_size(rule: Audience, scores: "npt.NDArray[np.float64]") -> int:
    """How many of the eligible people, whose scores are given, the rule takes."""
    if rule.min_score is not None:
        return int((scores >= rule.min_score).sum())
    assert rule.top is not None
    if isinstance(rule.top, int):
        return min(rule.top, len(scores))
    # Rounded first: 10 % of 30 people is 3, though 0.1 * 30 in binary is a little more.
    return math.ceil(round(rule.top * len(scores), 9))


def arm_of(campaign: str, identity: Any, holdout: float) -> str:
    """`holdout` for that share of people, by a hash of campaign and person: the same answer in every run."""
    return HOLDOUT if _hash_unit(f"holdout/{campaign}/{identity}") < holdout else TREAT


def select_audience(
    campaign: str,
    key: str,
    scores: "pa.Table",
    refused: Sequence[str | None],
    rule: Audience,
    value: float | None,
) -> "pa.Table":
    """Every scored person with rank, decile, eligibility, choice and arm, best first.

    Args:
        scores: columns (key, as_of, score).
        refused: for each row of `scores`, why the person is not eligible, or None.
        value: what a positive is worth; None leaves expected value empty.

    Returns:
        Columns: key, as_of, score, rank, decile, expected_value, eligible, why_not, selected, arm. `arm` is empty for
        people who were not selected.
    """
    import numpy as np
    import pyarrow as pa

    ids = scores[key].to_pylist()
    score = scores["score"].to_numpy()
    order = rank_order(ids, score, campaign)
    ranks = np.arange(1, len(order) + 1)
    eligible = np.array([reason is None for reason in refused], dtype=bool)[order]
    selected = eligible & (np.cumsum(eligible) <= audience_size(rule, score[order][eligible]))
    ordered = scores.take(pa.array(order))
    arms = [
        arm_of(campaign, ids[i], rule.holdout) if chosen else None for i, chosen in zip(order, selected, strict=True)
    ]
    columns = {
        key: ordered[key],
        "as_of": ordered["as_of"],
        "score": ordered["score"],
        "rank": pa.array(ranks, pa.int64()),
        "decile": pa.array(deciles(ranks) if len(ranks) else ranks, pa.int64()),
        "expected_value": pa.array(score[order] * value if value is not None else [None] * len(order), pa.float64()),
        "eligible": pa.array(eligible),
        "why_not": pa.array([refused[i] for i in order], pa.string()),
        "selected": pa.array(selected),
        "arm": pa.array(arms, pa.string()),
    }
    return pa.table(columns)


def _hash_unit(text: str) -> float:
    """A number in [0, 1) that depends on nothing but the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56
