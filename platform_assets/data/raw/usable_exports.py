"""The check of a raw table that every finished export of it can be used: where an export that was set aside is told, and where
a chain of exports ends before the newest of them.

Belongs here: its specification and result. Does not belong here: what makes an export unusable (`exports`), and setting it
aside (`discover`).
"""

from collections.abc import Sequence

import dagster as dg

NAME = "exports_are_usable"


def usable_exports_spec(key: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check of a raw table. It blocks nothing: other exports are loaded, and marts stand on them."""
    return dg.AssetCheckSpec(
        NAME, asset=key, description="There is an export of the table, and every finished one can be used"
    )


def usable_exports_result(key: dg.AssetKey, faults: Sequence[str], behind: Sequence[str] = ()) -> dg.AssetCheckResult:
    """What came of it: a sentence for each export that cannot be used, and for there being none.

    Args:
        behind: why incremental exports that are later than what is known are no links; these alone are a warning.
    """
    table = key.to_user_string()
    remedy = f"What is mended in its place is loaded by materialising {table}, a new export by itself."
    sentences = [*behind, *faults, *([remedy] if faults else [])]
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=NAME,
        passed=not sentences,
        severity=dg.AssetCheckSeverity.ERROR if faults else dg.AssetCheckSeverity.WARN,
        description="\n".join(sentences) if sentences else None,
        metadata={"faults": len(faults)} | ({"behind": len(behind)} if behind else {}),
    )
