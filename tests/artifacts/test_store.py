"""The store's promises: same recipe, no work; a killed or failed build shows nothing; damage is found."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.artifacts import ArtifactCorrupt, ArtifactMissing, ArtifactRef, ArtifactStore, Recipe

RECIPE = Recipe("models/gbdt", {"m": "1"}, {"rate": 0.1}, {"training_set": "aa"})


def writes(text: str):
    def build(folder: Path) -> dict[str, int]:
        (folder / "nested").mkdir()
        (folder / "nested" / "data.txt").write_text(text)
        return {"length": len(text)}

    return build


def never(folder: Path) -> dict[str, int]:
    raise AssertionError("built again")


def test_the_same_recipe_is_found_and_not_built_again(tmp_path):
    store = ArtifactStore(tmp_path)
    first = store.get_or_build(RECIPE, writes("one"))
    again = ArtifactStore(tmp_path).get_or_build(RECIPE, never)
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
def test_a_change_of_code_settings_or_input_builds_again_and_says_which(tmp_path, changed, said):
    store = ArtifactStore(tmp_path)
    assert store.get_or_build(RECIPE, writes("one")).reason == "first time"
    rebuilt = store.get_or_build(changed, writes("two"))
    assert not rebuilt.hit
    assert rebuilt.reason == said


def test_a_failed_build_publishes_nothing(tmp_path):
    store = ArtifactStore(tmp_path)

    def fails(folder: Path) -> dict[str, int]:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        store.get_or_build(RECIPE, fails)
    assert store.find(RECIPE.fingerprint) is None
    assert list(tmp_path.rglob("half.txt")) == []


def test_a_kill_before_the_record_shows_nothing_and_the_rerun_equals_an_undisturbed_one(tmp_path, monkeypatch):
    store = ArtifactStore(tmp_path / "disturbed")
    put = ArtifactStore._put

    def killed(self, source, name):
        if name.startswith("recipes/"):
            raise KeyboardInterrupt
        put(self, source, name)

    monkeypatch.setattr(ArtifactStore, "_put", killed)
    with pytest.raises(KeyboardInterrupt):
        store.get_or_build(RECIPE, writes("one"))
    monkeypatch.undo()
    assert store.find(RECIPE.fingerprint) is None
    rerun = store.get_or_build(RECIPE, writes("one"))
    assert rerun.ref == ArtifactStore(tmp_path / "undisturbed").get_or_build(RECIPE, writes("one")).ref


def test_a_changed_file_is_refused_with_what_to_do(tmp_path):
    artifact = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one"))
    Path(artifact.path("nested/data.txt")).write_text("other")
    with pytest.raises(ArtifactCorrupt, match="materialise models/gbdt again"):
        ArtifactStore(tmp_path).open(artifact.ref).path("nested/data.txt")


def test_a_reference_to_other_content_is_refused(tmp_path):
    store = ArtifactStore(tmp_path)
    ref = store.get_or_build(RECIPE, writes("one")).ref
    with pytest.raises(ArtifactMissing):
        store.open(ArtifactRef(ref.key, ref.fingerprint, "0" * 64))
    with pytest.raises(ArtifactMissing, match=r"holds no file other\.txt"):
        store.open(ref).path("other.txt")


def test_equal_content_made_by_two_recipes_has_one_content_hash(tmp_path):
    store = ArtifactStore(tmp_path)
    one = store.get_or_build(RECIPE, writes("same"))
    two = store.get_or_build(Recipe("models/other", {}, {}, {}), writes("same"))
    assert one.ref.content_hash == two.ref.content_hash
    assert one.ref.fingerprint != two.ref.fingerprint


def test_a_store_on_another_file_system_holds_the_same(tmp_path):
    store = ArtifactStore("memory://artifacts")
    artifact = store.get_or_build(RECIPE, writes("one"))
    assert artifact.ref == ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one")).ref
    assert Path(store.open(artifact.ref).path("nested/data.txt")).read_text() == "one"


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(), st.booleans()), max_size=4))
def test_the_fingerprint_does_not_depend_on_the_order_of_settings(config):
    reordered = dict(reversed(list(config.items())))
    assert Recipe("k", {}, config).fingerprint == Recipe("k", {}, reordered).fingerprint


def test_the_folder_holds_every_file_on_any_file_system(tmp_path):
    for root in (tmp_path, "memory://folders"):
        store = ArtifactStore(root)
        folder = store.get_or_build(RECIPE, writes("one")).folder()
        assert [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()] == ["nested/data.txt"]
