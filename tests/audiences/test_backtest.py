"""A backtest: past dates with what was known then, nothing promoted, nothing made twice."""

from datetime import date, timedelta

import pytest

from platform_assets.audiences.report.backtest import Replay, backtest, backtest_dates, rendered
from platform_assets.campaigns.declaration.spec import CampaignSpec
from tests.campaigns.conftest import AGAIN
from tests.campaigns.worlds import Workshop, at, campaign, fans

MONTH = timedelta(days=30)


def replayed(workshop: Workshop, name: str, spec: CampaignSpec, dates: int, every: timedelta) -> list[Replay]:
    days = backtest_dates(spec, workshop.work, dates, every)
    return list(backtest(name, spec, workshop.work, days, every))


def test_past_dates_are_measured_on_what_came_true_and_nothing_is_promoted(own_shop: Workshop) -> None:
    before = own_shop.promoted.all("again")
    late, newest = replayed(own_shop, "again", AGAIN, 2, MONTH)
    # 60 days before 1998-07-01, and a month before that.
    assert (late.day, newest.day) == (date(1998, 4, 2), date(1998, 5, 2))
    for one in (late, newest):
        assert one.figures is not None
        assert one.figures["auc"]["low"] < one.figures["auc"]["value"] < one.figures["auc"]["high"]
    assert own_shop.promoted.all("again") == before
    told = rendered("again", [late, newest])
    assert "1998-04-02" in told
    assert "ahead of the one-column rule on" in told


def test_a_second_backtest_makes_nothing(own_shop: Workshop) -> None:
    replayed(own_shop, "again", AGAIN, 1, MONTH)
    records = set((own_shop.folder / "artifacts" / "recipes").iterdir())
    replayed(own_shop, "again", AGAIN, 1, MONTH)
    assert set((own_shop.folder / "artifacts" / "recipes").iterdir()) == records


def test_a_date_with_too_little_to_learn_from_says_so(own_shop: Workshop) -> None:
    early, _ = replayed(own_shop, "rare", campaign(train={"snapshots": 1}), 2, timedelta(days=290))
    assert early.figures is None
    assert "positives among" in str(early.why_not)
    assert str(early.why_not) in rendered("rare", [early])


@pytest.mark.slow
def test_a_teachers_rows_are_measured_over_one_step(own_cinema: Workshop) -> None:
    rows = [{"viewer_id": n, "as_of": at(120 + n % 240).isoformat(), "label": int(n % 3 == 0)} for n in range(1, 241)]
    own_cinema.teach(rows)
    [only] = replayed(own_cinema, "fans", fans(features=["genres"]), 1, timedelta(days=40))
    assert only.figures is not None, only.why_not
    within = [row for row in rows if "1998-04-24" <= str(row["as_of"]) < "1998-06-03"]
    assert (only.day, only.figures["rows"]) == (date(1998, 4, 23), len(within))
