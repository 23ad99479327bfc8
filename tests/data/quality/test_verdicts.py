"""What a verdict promises: a refused table stays refused until a later audit passes, in any process."""

from pathlib import Path

import pyarrow as pa
import pytest

from platform_assets.data.quality import Bounds, Key, Refused, Verdicts, audit
from platform_assets.foundation.storage import files_at
from tests.foundation.storage.roots import root

__all__ = ["root"]

TABLE, SLOT = "features/customer/order_windows", "1998-01-01"


def test_a_table_never_audited_is_not_refused(tmp_path: Path) -> None:
    Verdicts(tmp_path).require(TABLE, SLOT)


def test_a_refusal_holds_for_every_reader_until_an_audit_passes(root: str) -> None:
    Verdicts(root).refuse(TABLE, SLOT, "f1", "orders_7d below 0 in 3 rows.")
    with pytest.raises(Refused, match=r"order_windows at 1998-01-01 must not be read: .* 3 rows\. Materialise"):
        Verdicts(root).require(TABLE, SLOT, "f0")
    Verdicts(root).require(TABLE, "1998-01-02", "f0")
    Verdicts(root).passed(TABLE, SLOT, "f2")
    Verdicts(root).require(TABLE, SLOT, "f2")


def test_a_reference_older_than_the_last_verdict_is_refused(tmp_path: Path) -> None:
    Verdicts(tmp_path).passed(TABLE, SLOT, "f2")
    with pytest.raises(Refused, match="the last audit passed f2"):
        Verdicts(tmp_path).require(TABLE, SLOT, "f0")


FLIPPED = b'{"at": "1998-01-01", "fingerprint": "f2", "reason": "", "state": "refuSed"}'


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", FLIPPED])
def test_an_unreadable_verdict_refuses(content: bytes, root: str) -> None:
    Verdicts(root).passed(TABLE, SLOT, "f2")
    files_at(root).write(f"{TABLE}/{SLOT}.json", content)
    with pytest.raises(Refused, match=f"its verdict {root}/{TABLE}/{SLOT}.json is not readable"):
        Verdicts(root).require(TABLE, SLOT)


@pytest.mark.parametrize("apart", ["", "/pages"], ids=["beside", "apart"])
def test_with_the_last_verdict_goes_its_audit_as_a_page_that_names_nobody(root: str, apart: str) -> None:
    table = pa.table({"person": ["ann@example.com", "bo@example.com"], "orders_7d": [-7.5, 1.0]})
    rules, pages = [Key(("person",)), Bounds("orders_7d", 0)], f"{root}{apart}"
    verdicts = Verdicts(root, pages) if apart else Verdicts(root)
    failed = audit(table, rules, name=TABLE).metadata()
    verdicts.refuse(TABLE, SLOT, "f1", "orders_7d below 0.", failed)
    assert verdicts.page(TABLE, SLOT) == f"{pages}/{TABLE}/{SLOT}.html"
    refused = page_of(pages)
    assert "-7.5" in refused
    assert "example.com" not in refused
    verdicts.passed(TABLE, SLOT, "f2", audit(table.slice(1), rules, name=TABLE).metadata())
    assert "-7.5" not in page_of(pages)
    verdicts.passed(TABLE, SLOT, "f2", failed)
    assert "-7.5" not in page_of(pages), "a page is made once for what it shows"
    verdicts.refuse(TABLE, SLOT, "f2", "again", failed)
    assert "-7.5" in page_of(pages)
    assert files_at(root).exists(f"{TABLE}/{SLOT}.html") is not bool(apart)
    with pytest.raises(Refused, match="its audit failed"):
        Verdicts(root).require(TABLE, SLOT)


def page_of(pages: str) -> str:
    stored = files_at(pages).read(f"{TABLE}/{SLOT}.html")
    assert stored is not None
    return stored.content.decode()
