"""The check of a raw table that every finished export of it can be used: where an export that was set aside is told.

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


def usable_exports_result(key: dg.AssetKey, faults: Sequence[str]) -> dg.AssetCheckResult:
    """What came of it: a sentence for each export that cannot be used, and for there being none."""
    table = key.to_user_string()
    remedy = f"What is mended in its place is loaded by materialising {table}, a new export by itself."
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=NAME,
        passed=not faults,
        severity=dg.AssetCheckSeverity.ERROR,
        description="\n".join([*faults, remedy]) if faults else None,
        metadata={"faults": len(faults)},
    )
