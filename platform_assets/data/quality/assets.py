"""How audits and verdicts look in Dagster: one blocking check an asset, and a reader's question before it
loads a reference.

Belongs here: the mapping only. Does not belong here: auditing, or assets.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from platform_assets.data.quality.auditing import AuditResult
from platform_assets.data.quality.verdicts import Refused, Verdicts

AUDIT = "audit"


def audit_check_spec(asset: dg.AssetKey | Sequence[str]) -> dg.AssetCheckSpec:
    """The check an audited asset declares; a critical failure blocks what is downstream in the same run."""
    return dg.AssetCheckSpec(
        AUDIT,
        asset=asset,
        blocking=True,
        description="Great Expectations judges the table before it is published",
    )


def audit_check_result(
    result: AuditResult | Mapping[str, Any], asset: dg.AssetKey | Sequence[str], page: str | None = None
) -> dg.AssetCheckResult:
    """An audit (or its stored `metadata()`) as a check result: ERROR when a critical rule failed, WARN for
    warnings. `page`: where its page of data docs is, as `Verdicts.page` says.
    """
    audit = result.metadata() if isinstance(result, AuditResult) else result
    sentences = "\n".join(f"{check['severity']}: {check['message']}" for check in audit["failed"])
    return dg.AssetCheckResult(
        passed=not audit["failed"],
        check_name=AUDIT,
        asset_key=asset,
        severity=dg.AssetCheckSeverity.WARN if audit["passed"] else dg.AssetCheckSeverity.ERROR,
        description=sentences or f"all {audit['checks']} rules hold over {audit['rows']} rows",
        metadata=audit_metadata(audit) | ({"data_docs": _led_to(page)} if page else {}),
    )


def _led_to(page: str) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.url(page) if page.startswith("http") else dg.MetadataValue.path(page)


def audit_metadata(audit: Mapping[str, Any]) -> dict[str, Any]:
    """An audit's `metadata()` for Dagster: counts as numbers, failed checks with samples as JSON."""
    return {
        "audited_rows": audit["rows"],
        "audit_rules": audit["checks"],
        "audit_critical_failures": audit["critical_failures"],
        "audit_warnings": audit["warnings"],
        "audit_failed": dg.MetadataValue.json(audit["failed"]),
    }


def require_verdict(verdicts: Verdicts, table: str, slot: str, fingerprint: str | None = None) -> None:
    """For a step that reads an audited table: go on only when its last audit did not refuse it.

    Raises:
        dg.Failure: it is refused; not to be retried.
    """
    try:
        verdicts.require(table, slot, fingerprint)
    except Refused as error:
        raise dg.Failure(str(error), allow_retries=False) from error
