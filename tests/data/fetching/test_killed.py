"""Loads whose process is killed in the midst of edits, deletions and refusals: the next ones end where a fresh load does."""

import os
import random
import signal
from pathlib import Path

import pytest

from platform_assets.data.fetching import load as loading
from platform_assets.data.fetching.load import Loaded, fetch
from platform_assets.data.fetching.spec import SaasSourceSpec
from platform_assets.foundation.storage.folder import Folder
from tests.data.fetching.reading import latest
from tests.data.fetching.stripe_server import DAY, StripeServer
from tests.tiers import Draw

KINDS = ("customers", "subscriptions")
LEASE_SECONDS = 0.2


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PART", 100)
    monkeypatch.setattr(loading, "AGAIN", 3)


def killed(spec: SaasSourceSpec, exports: Path, writes: int) -> bool:
    """Whether a load in a process of its own was killed before it had written so many files more; else it is done."""
    child = os.fork()
    if child == 0:
        left, write = writes, Folder.write

        def killing(self: Folder, name: str, content: bytes, *, durable: bool = True) -> None:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            write(self, name, content, durable=durable)

        status = 1
        try:
            Folder.write = killing  # type: ignore[method-assign]
            fetch(spec, exports, LEASE_SECONDS)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status != 0


def fetched(spec: SaasSourceSpec, exports: Path) -> Loaded:
    return fetch(spec, exports, LEASE_SECONDS)


class Business:
    """What goes on in an account, by chance: it grows, is edited, and loses objects, all of them told by events."""

    def __init__(self, account: StripeServer, chance: random.Random) -> None:
        self._account, self._chance = account, chance

    def begin(self) -> None:
        for _ in range(260):
            self._account.now += self._chance.randrange(2)
            self._create()
        self._account.now += DAY

    def go_on(self, changes: int) -> None:
        for _ in range(changes):
            self._account.now += self._chance.randrange(3)
            kind = self._chance.choice(KINDS)
            names = list(self._account.objects[kind])
            what = self._chance.random()
            if what < 0.3 or not names:
                self._create()
            elif what < 0.7:
                status = self._chance.choice(["active", "canceled"])
                self._account.edit(kind, self._chance.choice(names), balance=self._chance.randrange(99), status=status)
            else:
                self._account.delete(kind, self._chance.choice(names))

    def interfere(self) -> None:
        """At some request of the next load the service is busy, at another something changes."""
        first, busy, changing = len(self._account.asked), *(self._chance.randrange(1, 7) for _ in range(2))

        def meanwhile(number: int) -> None:
            if number == first + busy:
                self._account.answers = [(429, {"Retry-After": "0"})]
            if number == first + changing:
                self._account.meanwhile = lambda number: None
                self.go_on(3)

        self._account.meanwhile = meanwhile

    def _create(self) -> None:
        kind = "customers" if self._chance.random() < 0.9 else "subscriptions"
        self._account.create(kind, balance=self._chance.randrange(99), status="active")


def test_edit_delete_429_and_kill_in_one_run_equal_a_fresh_full_load(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path, draw: Draw
) -> None:
    for seed in draw(range(100), 1):
        chance, folder = random.Random(seed), tmp_path / str(seed)
        account.empty()
        business = Business(account, chance)
        business.begin()
        for _ in range(3):
            business.interfere()
            killed(spec, folder / "exports", chance.randrange(25))
            account.now += chance.choice([60, 3_600])
            business.go_on(chance.randrange(6))
            business.interfere()
            fetched(spec, folder / "exports")
            account.now += chance.choice([3_600, DAY, 2 * DAY, 9 * DAY, 29 * DAY])
            business.go_on(chance.randrange(12))
        account.meanwhile, account.answers = (lambda number: None), [(429, {"Retry-After": "0"})]
        assert killed(spec, folder / "exports", chance.randrange(5))
        business.go_on(2)
        account.now += DAY
        # The load that was cut off, and one more: what changed after the first had read the events is in the second.
        fetched(spec, folder / "exports")
        account.now += DAY
        fetched(spec, folder / "exports")
        fetched(spec, folder / "fresh/exports")
        for kind in KINDS:
            shown = latest(spec, folder, kind)
            assert shown == latest(spec, folder / "fresh", kind), seed
            assert shown == account.state(kind), seed
        left = folder / "exports/stripe/AWSDynamoDB/.fetching"
        assert [path.name for path in left.rglob("*") if path.is_file()] == []


def test_a_load_that_was_killed_goes_on_where_it_was_and_is_no_export_before(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path
) -> None:
    for number in range(350):
        account.now += 1
        account.create("customers", balance=number)
    account.now += DAY
    exports = tmp_path / "exports"
    assert killed(spec, exports, 4)
    assert list(exports.rglob("manifest-summary.json")) == []
    before = len(account.asked)
    assert fetched(spec, exports).resumed
    listed = [path for path in account.asked[before:] if path.startswith("/v1/customers?")]
    assert 0 < len(listed) < 4
    assert latest(spec, tmp_path, "customers") == account.state("customers")


def test_a_load_that_was_killed_is_begun_anew_when_events_of_before_it_are_no_longer_told(
    account: StripeServer, spec: SaasSourceSpec, tmp_path: Path
) -> None:
    spec = spec.model_copy(update={"full_after_days": 28})
    ids = [account.create("customers", balance=0) for _ in range(5)]
    account.now += DAY
    fetched(spec, tmp_path / "exports")
    account.now += DAY
    account.edit("customers", ids[0], balance=1)
    account.now += 19 * DAY
    assert killed(spec, tmp_path / "exports", 1)
    account.now += 20 * DAY
    assert not fetched(spec, tmp_path / "exports").resumed
    assert latest(spec, tmp_path, "customers") == account.state("customers")
