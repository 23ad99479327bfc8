"""What a verdict promises: a refused table stays refused until a later audit passes, in any process."""

from pathlib import Path

import pytest

from platform_assets.quality import Refused, Verdicts

TABLE, SLOT = "features/customer/order_windows", "1998-01-01"


def test_a_table_never_audited_is_not_refused(tmp_path: Path) -> None:
    Verdicts(tmp_path).require(TABLE, SLOT)


def test_a_refusal_holds_in_another_process_until_an_audit_passes(tmp_path: Path) -> None:
    Verdicts(tmp_path).refuse(TABLE, SLOT, "f1", "orders_7d below 0 in 3 rows.")
    with pytest.raises(Refused, match=r"order_windows at 1998-01-01 must not be read: .* 3 rows\. Materialise"):
        Verdicts(tmp_path).require(TABLE, SLOT, "f0")
    Verdicts(tmp_path).require(TABLE, "1998-01-02", "f0")
    Verdicts(tmp_path).passed(TABLE, SLOT, "f2")
    Verdicts(tmp_path).require(TABLE, SLOT, "f2")


def test_a_reference_older_than_the_last_verdict_is_refused(tmp_path: Path) -> None:
    Verdicts(tmp_path).passed(TABLE, SLOT, "f2")
    with pytest.raises(Refused, match="the last audit passed f2"):
        Verdicts(tmp_path).require(TABLE, SLOT, "f0")


def test_an_unreadable_verdict_refuses(tmp_path: Path) -> None:
    Verdicts(tmp_path).passed(TABLE, SLOT, "f2")
    (tmp_path / TABLE / f"{SLOT}.json").write_text("{")
    with pytest.raises(Refused, match="not readable"):
        Verdicts(tmp_path).require(TABLE, SLOT)


def test_verdicts_live_on_any_file_system() -> None:
    verdicts = Verdicts("memory://verdicts")
    verdicts.refuse(TABLE, SLOT, "f1", "bad")
    with pytest.raises(Refused):
        verdicts.require(TABLE, SLOT)
