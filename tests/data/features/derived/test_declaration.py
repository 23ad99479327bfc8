"""`features/<entity>.yaml`: what is taken, and what is refused by file, line and key."""

from datetime import date
from pathlib import Path
from textwrap import dedent

import pytest

from platform_assets.data.features.derived.declaration import read_feature_files, read_features
from platform_assets.foundation.documents.reading import DeclarationError
from tests.data.features.derived.worlds import CATALOG

GOOD = """
    entity: shopper
    at_most: 100
    features:
      visits:
        windows: [7, 28, all]
        measures: [spent]
        categories:
          kind: {values: [a, "7"], counted_before: 2024-01-31}
        where: spent > 0 and kind != 'free'
        admit: [returned_at, note]
        leave_out: [tags]
      people:
        admit: [city]
    """


def write(folder: Path, text: str, name: str = "shopper.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return path


def test_a_file_says_what_features_are_made_of(tmp_path: Path) -> None:
    said = read_features(write(tmp_path, GOOD), CATALOG).of("visits")
    assert (said.windows, said.measures, said.leave_out) == ((7, 28, "all"), ("spent",), ("tags",))
    assert said.categories["kind"].values == ("a", "7")
    assert said.categories["kind"].counted_before == date(2024, 1, 31)


def test_one_broken_file_leaves_the_others_readable(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    write(tmp_path, "entity: [", "broken.yaml")
    broken, good = read_feature_files(tmp_path, CATALOG)
    assert good.declaration is not None
    assert good.error is None
    assert "broken.yaml:1: not readable as YAML" in str(broken.error)


def test_without_a_folder_there_are_no_files(tmp_path: Path) -> None:
    assert read_feature_files(tmp_path / "features", CATALOG) == []


REFUSED = {
    "": "shopper.yaml:1: is empty; it starts with `entity: shopper`",
    "- shopper": "shopper.yaml:1: holds no mapping; it starts with `entity: shopper`",
    "entity: shoper": ":1: entity: the file of shoper is called shoper.yaml",
    "entity: shopper\nfeature: {}": ':2: feature: is not a field here; did you mean "features"?',
    "entity: shopper\nat_most: 0": ":2: at_most: should be greater than or equal to 1",
    "entity: shopper\nfeatures:\n  visit: {}": ':3: features.visit: is no mart of shopper; did you mean "visits"?',
}
OF_VISITS = {
    "windows: [7, 7]": "windows ascend, each once, and all comes last: write them as [7, 28, 90, all]",
    "windows: [all, 7]": "windows ascend, each once, and all comes last",
    "windows: [0]": "windows.0: 0 is not a window; write days from 1 to 3650, such as 28, or all",
    "windows: []": "windows: is empty; name at least one",
    "measures: [kind]": "measures.0: kind is not a number; measures are summed",
    "measures: [spend]": 'measures.0: spend is no column of visits; did you mean "spent"?',
    "measures: [visit_id]": "measures.0: visit_id says which row it is and makes no features of visits",
    "identifiers: [note]": "identifiers.0: note declares no role; name it under admit too if it may be used",
    "admit: [note]\n    leave_out: [note]": "admit.0: note is admitted and left out; keep one",
    "measures: [spent]\n    leave_out: [spent]": "measures.0: spent stands under leave_out too; keep one",
    "categories: {spent: {values: [a]}}": "categories.spent: spent is of type double; values are counted of texts and",
    "categories: {gift: {values: [a]}}": "categories.gift: gift is true or false; it needs no values, remove them",
    "categories: {kind: {values: []}}": "categories.kind.values: is empty; name at least one",
    "categories: {kind: {values: [a, a]}}": "categories.kind: values holds 'a' twice; keep one",
    "categories: {kind: {values: [a, A]}}": "categories.kind.values: two values differ only in upper and lower case",
    "categories: {kind: {values: [a], counted_before: soon}}": "'soon' is not a date; write it as 2024-01-31",
    "categories: {status: {values: [a]}}": "status may differ from one export to the next, so what it was at the time is",
    "where: spent >": "where: cannot read 'spent >' as a condition",
    "where: status = 'returned'": "where: status may differ from one export to the next",
    "where: count(visits) > 1": "where: 'count(visits)': aggregates can stand only in conditions on people",
    "admit: [returned_at]\n    where: returned_at > 2024-01-01": "where: returned_at is an instant that may lie after the",
    "where: note is null": "where: note declares no role; name it under admit too if it may be used",
}
OF_PEOPLE = {
    "where: age > 3": "where: means nothing on people, whose rows are people and no events; remove it",
    "windows: [7]": "windows: means nothing on people",
    "categories: {city: {values: [Bonn]}}": "city describes a person; name it under admit too if it may be used",
}
ALL = (
    REFUSED
    | {f"entity: shopper\nfeatures:\n  visits:\n    {text}\n": words for text, words in OF_VISITS.items()}
    | {f"entity: shopper\nfeatures:\n  people:\n    {text}\n": words for text, words in OF_PEOPLE.items()}
)


@pytest.mark.parametrize("text", ALL)
def test_what_cannot_be_honoured_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DeclarationError) as refused:
        read_features(path, CATALOG)
    assert ALL[text] in str(refused.value)
    assert str(refused.value).startswith(f"{path}:")
