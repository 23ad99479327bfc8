"""A load: what it shows, what it costs, and what becomes of one that is cut off."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from platform_assets.data.fetching import load as loading
from platform_assets.data.fetching import stripe
from platform_assets.data.fetching.load import fetch
from platform_assets.data.fetching.refused import FetchRefused
from platform_assets.data.fetching.spec import SaasSourceSpec
from tests.data.fetching.reading import latest, load_raw
from tests.data.fetching.stripe_server import DAY, KEY, StripeServer


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PART", 100)
    monkeypatch.setattr(loading, "AGAIN", 3)


def fill(account: StripeServer, customers: int = 350) -> list[str]:
    """Customers, of which some have a subscription, oldest first."""
    ids = []
    for number in range(customers):
        account.now += 1
        ids.append(account.create("customers", email=f"{number}@example.com", balance=number, address=None))
        if number % 50 == 0:
            account.create("subscriptions", customer=ids[-1], status="canceled", items={"data": [{"quantity": 2}]})
    account.now += DAY
    return ids


def assert_shown(account: StripeServer, spec: SaasSourceSpec, folder: Path) -> None:
    for kind in ("customers", "subscriptions"):
        assert latest(spec, folder, kind) == account.state(kind)


def lists_of(account: StripeServer, kind: str) -> list[str]:
    return [path for path in account.asked if path.startswith(f"/v1/{kind}?")]


def test_a_first_load_shows_every_object_as_the_api_shows_it(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path
) -> None:
    fill(account)
    loaded = fetch(spec, tmp_path / "exports")
    assert loaded.objects == {"customers": 350, "subscriptions": 7}
    assert loaded.listed == ("customers", "subscriptions")
    assert len(lists_of(account, "customers")) == 4
    assert_shown(account, spec, tmp_path)


def test_a_load_between_reads_again_what_events_name_and_lists_nothing(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path
) -> None:
    ids = fill(account)
    fetch(spec, tmp_path / "exports")
    account.now += DAY
    # Created long ago: a cursor by `created` would never see it again.
    account.edit("customers", ids[0], balance=-7)
    account.delete("customers", ids[1])
    account.create("customers", email="new@example.com")
    account.asked.clear()
    account.now += DAY // 2
    loaded = fetch(spec, tmp_path / "exports")
    assert loaded.listed == ()
    assert loaded.again == 3
    assert lists_of(account, "customers") == []
    assert_shown(account, spec, tmp_path)
    exports = load_raw(spec, tmp_path).tables["customers"].exports
    assert [export.rows for export in exports] == [350, 350]


def test_what_changes_while_it_is_listed_is_shown_as_it_is_at_the_end(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path
) -> None:
    ids = fill(account)
    before = len(account.asked)

    def meanwhile(number: int) -> None:
        if number == before + 3:
            account.edit("customers", ids[-1], balance=-1)
            account.delete("customers", ids[-2])
            account.create("customers", email="in the midst")
            account.delete("customers", ids[0])

    account.meanwhile = meanwhile
    fetch(spec, tmp_path / "exports")
    assert_shown(account, spec, tmp_path)


def test_a_cursor_whose_object_is_deleted_is_stepped_back_over(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path
) -> None:
    ids = fill(account)
    account.meanwhile = lambda number: account.delete("customers", ids[250]) if number == 2 else None
    fetch(spec, tmp_path / "exports")
    assert any("starting_after=" + ids[250] in path for path in account.asked)
    assert_shown(account, spec, tmp_path)


def test_after_some_days_all_objects_are_listed_again_and_so_are_they_for_another_version(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path
) -> None:
    fill(account, 10)
    fetch(spec, tmp_path / "exports")
    account.now += 6 * DAY
    assert fetch(spec, tmp_path / "exports").listed == ()
    account.now += DAY
    assert fetch(spec, tmp_path / "exports").listed == ("customers", "subscriptions")
    account.now += DAY
    newer = spec.model_copy(update={"api_version": "2027-01-01.fig"})
    assert fetch(newer, tmp_path / "exports").listed == ("customers", "subscriptions")


def test_a_damaged_export_is_not_built_upon(account: StripeServer, spec: SaasSourceSpec, tmp_path: Path) -> None:
    fill(account, 10)
    first = fetch(spec, tmp_path / "exports")
    (data,) = (tmp_path / "exports/stripe/AWSDynamoDB" / first.exports["customers"] / "data").iterdir()
    data.write_bytes(data.read_bytes()[:-9])
    account.now += DAY
    assert fetch(spec, tmp_path / "exports").listed == ("customers",)
    loaded = fetch_raw_whatever(spec, tmp_path)
    assert loaded == 10


def fetch_raw_whatever(spec: SaasSourceSpec, folder: Path) -> int:
    from platform_assets.data.engines.duckdb.raw_tables import FolderTables
    from platform_assets.data.raw.discover import load_source

    loaded = load_source(spec.exports(), "billing", str(folder / "exports"), FolderTables(folder / "raw"))
    assert ["truncated" in aside.reason for aside in loaded.set_aside] == [True]
    return loaded.tables["customers"].exports[-1].rows


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((403, {}), "the API refuses the key in"),
        ((400, {}), "the API refuses the request"),
        ((302, {"Location": "http://127.0.0.1:9/"}), "the API refuses the request"),
    ],
)
def test_a_refusal_is_told_without_the_key_and_leaves_the_exports_as_they_were(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path, answer: tuple[int, dict[str, str]], sentence: str
) -> None:
    fill(account, 10)
    fetch(spec, tmp_path / "exports")
    account.now += DAY
    account.answers = [answer]
    with pytest.raises(FetchRefused, match=sentence) as error:
        fetch(spec, tmp_path / "exports")
    assert KEY not in str(error.value)
    assert error.value.__cause__ is None
    assert_shown(account, spec, tmp_path)


def last_again(answer: dict[str, Any]) -> None:
    if answer["url"] == "/v1/customers":
        answer.update(data=[{"id": "cus_000001"}], has_more=True)


def without_id(answer: dict[str, Any]) -> None:
    if answer["url"] == "/v1/customers":
        answer["data"][3].pop("id")


@pytest.mark.parametrize(
    ("alter", "sentence"),
    [
        (last_again, "/v1/customers: it answers with the page before once more"),
        (without_id, "/v1/customers: an object in the list has no id"),
        (lambda answer: answer.update(object="page"), "/v1/events: the answer is no list with data and has_more"),
        (lambda answer: answer.update(data=[], has_more=True), "a page without objects says that there are more"),
    ],
)
def test_an_answer_that_is_not_the_services_shape_is_refused_and_nothing_is_lost(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path, alter: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    fill(account, 10)
    fetch(spec, tmp_path / "exports")
    account.now += 8 * DAY
    account.alter = alter
    with pytest.raises(FetchRefused, match=sentence) as error:
        fetch(spec, tmp_path / "exports")
    assert "Nothing of this load is an export; what was fetched before it stays" in str(error.value)
    assert not error.value.passes
    assert_shown(account, spec, tmp_path)


def test_what_is_not_installed_is_named_with_what_installs_it(
    spec: SaasSourceSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlt.sources.helpers.rest_client", None)
    with pytest.raises(FetchRefused, match=r"pip install 'platform-assets\[saas\]'"):
        fetch(spec, tmp_path / "exports")


def test_a_service_that_is_down_is_told_as_what_passes(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe, "_ATTEMPTS", 1)
    account.answers = [(503, {})]
    with pytest.raises(FetchRefused, match=r"no answer after 1 attempts \(503\). Run the load again") as error:
        fetch(spec, tmp_path / "exports")
    assert error.value.passes
    nowhere = spec.model_copy(update={"url": "http://127.0.0.1:9"})
    with pytest.raises(FetchRefused, match=r"no answer after 1 attempts \(ConnectionError\)"):
        fetch(nowhere, tmp_path / "exports")


def test_a_key_that_is_not_there_is_told_with_its_place(spec: SaasSourceSpec, tmp_path: Path) -> None:
    nowhere = spec.model_copy(update={"key_file": tmp_path / "nowhere"})
    with pytest.raises(FetchRefused, match="nowhere: holds no API key"):
        fetch(nowhere, tmp_path / "exports")
    unset = spec.model_copy(update={"key_file": None, "key_variable": "STRIPE_KEY_OF_NOBODY"})
    with pytest.raises(FetchRefused, match="STRIPE_KEY_OF_NOBODY: holds no API key"):
        fetch(unset, tmp_path / "exports")


def test_numbers_keep_their_digits_and_null_is_not_absence(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path
) -> None:
    name = account.create(
        "customers",
        big=12345678901234567890123,
        rate=json.loads("0.1"),
        none=None,
        flags=[True, "é\n", []],
        metadata={},
    )
    account.now += DAY
    fetch(spec, tmp_path / "exports")
    shown = latest(spec, tmp_path, "customers")[name]
    assert shown["big"] == 12345678901234567890123
    assert str(shown["rate"]) == "0.1"
    assert shown["none"] is None
    assert (shown["flags"], shown["metadata"]) == ([True, "é\n", []], {})
