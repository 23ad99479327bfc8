"""The list of promoted models: whoever promotes, nobody's model is lost."""

import subprocess
import sys
from datetime import date

import pytest

from platform_assets.campaigns.registry.promoted import KeptBody, PromotedModels, Promotion, RegistryDamaged
from platform_assets.environment import REPOSITORY
from platform_assets.foundation.artifacts import ArtifactRef
from platform_assets.foundation.storage import files_at
from tests.foundation.storage.roots import root

__all__ = ["root"]
PROMOTE = """
import sys
from datetime import date
from tests.campaigns.test_promoted_models import PromotedModels, promotion
for month in range(1, 13):
    PromotedModels(sys.argv[1]).promote("again", promotion(date(int(sys.argv[2]), month, 1)))
"""


def promotion(score_at: date, model: str = "model") -> Promotion:
    refs = [ArtifactRef(f"again/{what}", f"{model}-{score_at}", "c") for what in ("ensemble", "rows", "decision")]
    return Promotion("customer", score_at.isoformat(), *refs)


def test_a_model_is_good_from_its_scoring_date_and_another_of_that_date_gives_way(root: str) -> None:
    promoted, may, june = PromotedModels(root), date(1998, 5, 1), date(1998, 6, 1)
    assert promoted.all("again") == []
    promoted.promote("again", promotion(june))
    promoted.promote("again", promotion(may, "old"))
    promoted.promote("again", promotion(may, "new"))
    assert PromotedModels(root).all("again") == [promotion(may, "new"), promotion(june)]
    assert promoted.champion("again", date(1998, 5, 31)) == promotion(may, "new")
    assert promoted.champion("again", date(1998, 4, 30)) is None


@pytest.mark.slow
def test_processes_that_promote_at_once_lose_no_model(root: str) -> None:
    years = range(1990, 1994)
    command = [sys.executable, "-c", PROMOTE, root]
    promoting = [subprocess.Popen([*command, str(year)], cwd=REPOSITORY) for year in years]
    assert [process.wait() for process in promoting] == [0] * len(promoting)
    expected = [promotion(date(year, month, 1)) for year in years for month in range(1, 13)]
    assert PromotedModels(root).all("again") == expected


@pytest.mark.parametrize("content", [b"", b"[{", b"{}", b"[{}]", b"null", b"\xff"])
def test_a_damaged_list_is_named_and_never_taken_for_an_empty_one(content: bytes, root: str) -> None:
    promoted, day = PromotedModels(root), date(1998, 5, 1)
    for name in ("promoted/again.json", "bodies/customer.json"):
        files_at(root).write(name, content)
    body = KeptBody("1998-05-01", ArtifactRef("body", "f", "c"))
    asks = {
        "promoted/again": (lambda: promoted.champion("again", day), lambda: promoted.promote("again", promotion(day))),
        "bodies/customer": (lambda: promoted.body("customer", day), lambda: promoted.keep_body("customer", body)),
    }
    for name, each in asks.items():
        for ask in each:
            with pytest.raises(RegistryDamaged, match=rf"{root}/{name}\.json, which .* is damaged\. Put back"):
                ask()
        stored = files_at(root).read(f"{name}.json")
        assert stored is not None
        assert stored.content == content
