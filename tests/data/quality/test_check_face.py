"""How an audit looks in Dagster."""

from pathlib import Path

import dagster as dg
import pyarrow as pa

from platform_assets.data.quality import Bounds, Verdicts, audit
from platform_assets.data.quality.assets import audit_check_result, audit_check_spec

TABLE = pa.table({"value": [-1.0, 2.0]})


def test_severity_maps_and_the_sentence_is_the_description() -> None:
    critical = audit_check_result(audit(TABLE, [Bounds("value", 0)], name="t"), ["t"])
    assert (critical.passed, critical.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert critical.description is not None
    assert "1 of 2 rows fail" in critical.description
    warning = audit_check_result(audit(TABLE, [Bounds("value", 0, severity="warning")], name="t"), ["t"])
    assert (warning.passed, warning.severity) == (False, dg.AssetCheckSeverity.WARN)
    good = audit_check_result(audit(TABLE, [Bounds("value")], name="t"), ["t"])
    assert good.passed
    assert good.metadata["audit_rules"] == dg.IntMetadataValue(1)
    assert audit_check_spec(["t"]).blocking


def test_a_page_that_is_served_is_a_link_and_one_that_is_not_a_place(tmp_path: Path) -> None:
    url = "http://127.0.0.1:3001/audits/t/current.html"
    for verdicts, shown in (
        (
            Verdicts(tmp_path, tmp_path, lambda name: f"http://127.0.0.1:3001/audits/{name}"),
            dg.MetadataValue.url(url),
        ),
        (Verdicts(tmp_path, tmp_path), dg.MetadataValue.path(str(tmp_path / "t" / "current.html"))),
    ):
        page = verdicts.page("t", "current")
        result = audit_check_result(audit(TABLE, [Bounds("value")], name="t"), ["t"], page)
        assert result.metadata["data_docs"] == shown
