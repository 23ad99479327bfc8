"""Leading values: counted before an instant, written into the file without touching the rest, and watched."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest

from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.data.features.derived.declaration import FeatureDeclaration, read_features
from platform_assets.data.features.derived.leading import Leading, grown_others, leading_values
from platform_assets.data.features.derived.writing import write_leading
from platform_assets.foundation.documents.reading import DeclarationError
from tests.data.features.conftest import CATALOG as PUBLISHED
from tests.data.features.conftest import publish, rating
from tests.data.features.derived.test_groups import RATED, with_roles
from tests.data.features.derived.worlds import CATALOG

BEFORE = date(1997, 8, 1)  # day 61


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> DuckDBWarehouse:
    rows = [rating(n, n % 12, n % 60, 4, ("Drama",)) for n in range(60)]
    rows += [rating(100 + n, n % 12, n % 60, 4, ("Drama", "War")) for n in range(24)]
    rows += [rating(200 + n, n % 2, n % 60, 4, ("Noir",)) for n in range(40)]
    rows += [rating(300 + n, n % 12, 100 + n, 4, ("Sci-Fi",)) for n in range(60)]
    return publish(tmp_path_factory.mktemp("leading"), RATED, {"ratings": rows})


def of_viewers(**categories: object) -> FeatureDeclaration:
    return FeatureDeclaration.model_validate(
        {"entity": "viewer", "features": {"ratings": {"categories": categories}} if categories else {}}
    )


def test_only_what_was_known_and_what_enough_people_have_is_counted(warehouse: DuckDBWarehouse) -> None:
    [genres] = leading_values(warehouse, of_viewers(), BEFORE, most=10)
    assert (genres.mart, genres.column, genres.values) == ("ratings", "genres", ("Drama", "War"))
    assert genres.covered == pytest.approx(108 / 148)
    assert leading_values(warehouse, of_viewers(), BEFORE, most=1)[0].values == ("Drama",)
    later = leading_values(warehouse, of_viewers(), date(1998, 1, 1), most=10)
    assert later[0].values == ("Drama", "Sci-Fi", "War")


def test_what_arrives_late_is_not_counted(tmp_path: Path) -> None:
    from datetime import timedelta

    marts = {**RATED.marts, "ratings": replace(RATED.marts["ratings"], arrival_lag=timedelta(days=5))}
    late = replace(RATED, marts=marts)
    rows = [rating(n, n, 58, 4, ("Drama",)) for n in range(20)]
    warehouse = publish(tmp_path, late, {"ratings": rows})
    assert leading_values(warehouse, of_viewers(), BEFORE, most=10)[0].values == ()
    assert leading_values(warehouse, of_viewers(), date(1997, 8, 5), most=10)[0].values == ("Drama",)


def test_a_personal_column_is_not_counted(tmp_path: Path) -> None:
    ratings = RATED.marts["ratings"]
    tagged = replace(ratings, columns={**ratings.columns, "genres": replace(ratings.columns["genres"], personal=True)})
    catalog = replace(with_roles(PUBLISHED), marts={**RATED.marts, "ratings": tagged})
    warehouse = publish(tmp_path, catalog, {"ratings": [rating(n, n, 1) for n in range(20)]})
    assert leading_values(warehouse, of_viewers(), BEFORE, most=10) == []


def test_growth_of_what_is_none_of_the_leading_values_is_told(warehouse: DuckDBWarehouse) -> None:
    declared = of_viewers(genres={"values": ["Drama", "War", "Noir"], "counted_before": "1997-08-01"})
    [sentence] = grown_others(warehouse, declared)
    assert "ratings.genres: 100% of its rows since 1997-08-01 hold none of the leading values, 0% before" in sentence
    steady = of_viewers(genres={"values": ["Drama", "War", "Noir", "Sci-Fi"], "counted_before": "1997-08-01"})
    assert grown_others(warehouse, steady) == []


KIND = Leading("visits", "kind", ("a", "7", "nö: #x"), 0.9)
SAID = 'kind: {values: ["a", "7", "nö: #x"], counted_before: 2024-02-01}'
FILES = {
    "no file": (None, f"entity: shopper\nfeatures:\n  visits:\n    categories:\n      {SAID}\n"),
    "no features": ("entity: shopper # ours\n", f"entity: shopper # ours\nfeatures:\n  visits:\n    categories:\n      {SAID}\n"),
    "another mart": (
        "entity: shopper\nfeatures:\n    people:\n        admit: [city]\n",
        f"entity: shopper\nfeatures:\n    visits:\n      categories:\n        {SAID}\n    people:\n        admit: [city]\n",
    ),
    "no categories": (
        "entity: shopper\nfeatures:\n  visits:\n    # two\n    windows: [7, all]\n",
        f"entity: shopper\nfeatures:\n  visits:\n    categories:\n      {SAID}\n    # two\n    windows: [7, all]\n",
    ),
    "an empty mart": (
        "entity: shopper\nfeatures:\n  visits: {}\n",
        f"entity: shopper\nfeatures:\n  visits:\n    categories:\n      {SAID}\n",
    ),
    "values of before": (
        "entity: shopper\nfeatures:\n  visits:\n    categories:\n      kind:\n        values:\n          - b\n\n    windows: [7]\n",
        f"entity: shopper\nfeatures:\n  visits:\n    categories:\n      {SAID}\n\n    windows: [7]\n",
    ),
    "another category": (
        "features:\n  visits:\n    categories:\n      tags: {values: [x]} # kept\nentity: shopper\n",
        f"features:\n  visits:\n    categories:\n      {SAID}\n      tags: {{values: [x]}} # kept\nentity: shopper\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_values_are_written_and_the_rest_of_the_file_stays(case: str, tmp_path: Path) -> None:
    before, after = FILES[case]
    path = tmp_path / "features" / "shopper.yaml"
    if before is not None:
        path.parent.mkdir()
        path.write_text(before, encoding="utf-8")
    declaration = write_leading(path, "shopper", [KIND], date(2024, 2, 1), CATALOG)
    assert path.read_text(encoding="utf-8") == after
    assert declaration == read_features(path, CATALOG)
    assert list(path.parent.iterdir()) == [path]
    write_leading(path, "shopper", [KIND], date(2024, 2, 1), CATALOG)
    assert path.read_text(encoding="utf-8") == after


BRACES = "entity: shopper\nfeatures: {visits: {windows: [7]}}\n"
BROKEN = "entity: shopper\nfeatures:\n  visits:\n    windows: [9, 7]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BRACES, "cannot be written beside what stands there in braces; put each key on a line of its own, or write"),
        (BROKEN, "shopper.yaml:3: features.visits: windows ascend"),
    ],
)
def test_a_file_that_cannot_be_changed_stays_as_it_is(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "shopper.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    with pytest.raises(DeclarationError, match=words):
        write_leading(path, "shopper", [KIND], date(2024, 2, 1), CATALOG)
    assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]
