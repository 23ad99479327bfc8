"""The store's promises: same recipe, no work; a killed or failed build shows nothing; damage is found."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.foundation.artifacts import ArtifactCorrupt, ArtifactMissing, ArtifactRef, ArtifactStore, Recipe
from platform_assets.foundation.storage import files_at
from tests.foundation.artifacts.actors import RECIPE, writes


def never(folder: Path) -> dict[str, int]:
    raise AssertionError("built again")


def test_the_same_recipe_is_found_and_not_built_again(root: str) -> None:
    store = ArtifactStore(root)
    first = store.get_or_build(RECIPE, writes("one"))
    again = ArtifactStore(root).get_or_build(RECIPE, never)
    assert (first.hit, again.hit) == (False, True)
    assert again.ref == first.ref
    assert Path(again.path("nested/data.txt")).read_text() == "one"
    assert again.metadata == {"length": 3}
    assert again.dagster_metadata()["cache"] == "hit"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (Recipe("models/gbdt", {"m": "2"}, {"rate": 0.1}, {"training_set": "aa"}), "code changed: m"),
        (Recipe("models/gbdt", {"m": "1"}, {"rate": 0.2}, {"training_set": "aa"}), "settings changed: rate"),
        (Recipe("models/gbdt", {"m": "1"}, {"rate": 0.1}, {"training_set": "bb"}), "inputs changed: training_set"),
    ],
)
def test_a_change_of_code_settings_or_input_builds_again_and_says_which(root: str, changed: Recipe, said: str) -> None:
    store = ArtifactStore(root)
    assert store.get_or_build(RECIPE, writes("one")).reason == "first time"
    rebuilt = store.get_or_build(changed, writes("two"))
    assert not rebuilt.hit
    assert rebuilt.reason == said


def test_a_torn_note_of_the_last_recipe_hinders_no_build(root: str) -> None:
    ArtifactStore(root).get_or_build(RECIPE, writes("one"))
    files_at(root).write(f"latest/{RECIPE.key}.json", b"")
    changed = Recipe(RECIPE.key, {"m": "2"})
    assert ArtifactStore(root).get_or_build(changed, writes("two")).reason == "what it was made from last is not known"
    assert ArtifactStore(root).get_or_build(Recipe(RECIPE.key, {"m": "3"}), writes("two")).reason == "code changed: m"


def test_a_failed_build_publishes_nothing_and_lets_the_next_begin(root: str) -> None:
    store = ArtifactStore(root)

    def fails(folder: Path) -> dict[str, int]:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        store.get_or_build(RECIPE, fails)
    assert store.find(RECIPE.fingerprint) is None
    assert files_at(root).names() == []
    assert store.get_or_build(RECIPE, writes("one")).reason == "first time"


def test_a_changed_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    artifact = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one"))
    Path(artifact.path("nested/data.txt")).write_text("other")
    with pytest.raises(ArtifactCorrupt, match="materialise models/gbdt again"):
        ArtifactStore(tmp_path).open(artifact.ref).path("nested/data.txt")


def test_content_that_is_gone_is_refused_with_what_to_do_which_then_helps(root: str) -> None:
    ref = ArtifactStore(root).get_or_build(RECIPE, writes("one")).ref
    files = files_at(root)
    files.delete(f"content/{ref.content_hash}/nested/data.txt")
    with pytest.raises(
        ArtifactCorrupt, match=rf"data\.txt is missing .* delete {root}/recipes/{ref.fingerprint}\.json"
    ):
        ArtifactStore(root).open(ref).path("nested/data.txt")
    files.delete(f"recipes/{ref.fingerprint}.json")
    again = ArtifactStore(root).get_or_build(RECIPE, writes("one"))
    assert again.reason == "the stored record was removed"
    assert Path(again.path("nested/data.txt")).read_text() == "one"


def test_a_reference_to_other_content_is_refused(root: str) -> None:
    store = ArtifactStore(root)
    ref = store.get_or_build(RECIPE, writes("one")).ref
    with pytest.raises(ArtifactMissing):
        store.open(ArtifactRef(ref.key, ref.fingerprint, "0" * 64))
    with pytest.raises(ArtifactMissing, match=r"holds no file other\.txt"):
        store.open(ref).path("other.txt")


def test_equal_content_made_by_two_recipes_has_one_content_hash(root: str) -> None:
    store = ArtifactStore(root)
    one = store.get_or_build(RECIPE, writes("same"))
    two = store.get_or_build(Recipe("models/other", {}, {}, {}), writes("same"))
    assert one.ref.content_hash == two.ref.content_hash
    assert one.ref.fingerprint != two.ref.fingerprint


def test_every_place_holds_the_same_under_the_same_names(root: str, tmp_path: Path) -> None:
    artifact = ArtifactStore(root).get_or_build(RECIPE, writes("one"))
    assert artifact.ref == ArtifactStore(tmp_path / "other").get_or_build(RECIPE, writes("one")).ref
    assert files_at(root).names() == files_at(tmp_path / "other").names()


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(), st.booleans()), max_size=4))
def test_the_fingerprint_does_not_depend_on_the_order_of_settings(config: dict[str, object]) -> None:
    reordered = dict(reversed(list(config.items())))
    assert Recipe("k", {}, config).fingerprint == Recipe("k", {}, reordered).fingerprint


def test_the_folder_holds_every_file_and_outlives_the_store(root: str) -> None:
    folder = ArtifactStore(root).get_or_build(RECIPE, writes("one")).folder()
    assert [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()] == ["nested/data.txt"]
