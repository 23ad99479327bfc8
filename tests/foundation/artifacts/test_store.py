"""The store's promises: same recipe, no work; a killed or failed build shows nothing; damage is found."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.foundation.artifacts import (
    ArtifactCorrupt,
    ArtifactDiffers,
    ArtifactMissing,
    ArtifactRef,
    ArtifactStore,
    Recipe,
)
from platform_assets.foundation.storage import Stored, files_at
from platform_assets.foundation.storage.folder import Folder
from tests.foundation.artifacts.actors import RECIPE, writes
from tests.foundation.artifacts.test_turns import started


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


def damage(root: str, name: str) -> bytes:
    """Change a byte of a stored file; what it holds now."""
    files = files_at(root)
    stored = files.read(name)
    assert stored is not None
    changed = bytes([*stored.content[:-1], stored.content[-1] ^ 1]) if stored.content else b"x"
    files.write(name, changed)
    return changed


def content_of(ref: ArtifactRef) -> str:
    return f"content/{ref.content_hash}/nested/data.txt"


def record_of(ref: ArtifactRef) -> str:
    return f"recipes/{ref.fingerprint}.json"


def test_who_reads_a_changed_file_is_told_what_to_do_which_then_helps(root: str) -> None:
    ref = ArtifactStore(root).get_or_build(RECIPE, writes("one")).ref
    changed = damage(root, content_of(ref))
    with pytest.raises(
        ArtifactCorrupt, match=rf"{root}/content/.*data\.txt is .*{root}/damaged; materialise models/gbdt to"
    ):
        ArtifactStore(root).open(ref).path("nested/data.txt")
    with pytest.raises(ArtifactMissing, match=rf"damaged and is set aside in {root}/damaged.*materialise models/gbdt"):
        ArtifactStore(root).open(ref)
    again = ArtifactStore(root).get_or_build(RECIPE, writes("one"))
    assert (again.ref, again.hit, again.reason) == (ref, False, "what was stored is damaged and set aside")
    assert Path(ArtifactStore(root).open(ref).path("nested/data.txt")).read_text() == "one"
    kept = files_at(root).read(f"damaged/{content_of(ref)}")
    assert kept is not None
    assert kept.content == changed
    assert ArtifactStore(root).get_or_build(RECIPE, never).hit


@pytest.mark.parametrize("gone", [False, True])
def test_where_its_recipe_is_built_a_damaged_artifact_is_made_again(gone: bool, tmp_path: Path) -> None:
    ref = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one")).ref
    if gone:
        (tmp_path / content_of(ref)).unlink()
    else:
        damage(str(tmp_path), content_of(ref))
    again = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one"))
    assert (again.ref, again.hit, again.reason) == (ref, False, "what was stored is damaged and set aside")
    assert Path(again.path("nested/data.txt")).read_text() == "one"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, lambda record: record.replace(b'"length": 3', b'"length": 4'),
     lambda record: record.replace(b"nested/data", b"nested/date"), lambda record: record.replace(b"metadata", b"metadatb")],
)  # fmt: skip
def test_a_damaged_record_is_set_aside_and_its_content_made_again(content: Any, tmp_path: Path) -> None:
    ref = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one")).ref
    record = tmp_path / record_of(ref)
    written = content(record.read_bytes()) if callable(content) else content
    assert written != record.read_bytes()
    record.write_bytes(written)
    assert ArtifactStore(tmp_path).find(ref.fingerprint) is None
    with pytest.raises(ArtifactMissing, match="was damaged and is set aside"):
        ArtifactStore(tmp_path).open(ref)
    again = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one"))
    assert (again.ref, again.hit, again.metadata) == (ref, False, {"length": 3})
    assert (tmp_path / "damaged" / record_of(ref)).read_bytes() == written


def test_a_record_of_earlier_code_has_no_checksum_and_counts(tmp_path: Path) -> None:
    ref = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one")).ref
    record = json.loads((tmp_path / record_of(ref)).read_text())
    del record["checksum"]
    (tmp_path / record_of(ref)).write_text(json.dumps(record))
    assert ArtifactStore(tmp_path).get_or_build(RECIPE, never).ref == ref


def test_metadata_that_json_reads_back_otherwise_is_no_damage(tmp_path: Path) -> None:
    made = ArtifactStore(tmp_path).get_or_build(RECIPE, lambda _: {"t": (1, {2: 0.1, 11: 1e300}), "text": "\ud800 é"})
    found = ArtifactStore(tmp_path).find(made.ref.fingerprint)
    assert found is not None
    assert found.metadata == {"t": [1, {"2": 0.1, "11": 1e300}], "text": "\ud800 é"}


def test_what_is_promoted_is_made_again_to_the_same_bytes_or_refused(root: str) -> None:
    ref = ArtifactStore(root).get_or_build(RECIPE, writes("one")).ref
    promoted = json.dumps([{"ensemble": ref.to_json()}], indent=1).encode()
    files_at(root).write("promoted/again.json", promoted)
    damage(root, content_of(ref))
    with pytest.raises(ArtifactCorrupt):
        ArtifactStore(root).open(ref).path("nested/data.txt")
    for _ in range(2):
        with pytest.raises(
            ArtifactDiffers, match=rf"models/gbdt: .* while {root}/promoted/again\.json names the one before; nothing"
        ):
            ArtifactStore(root).get_or_build(RECIPE, writes("two"))
        assert ArtifactStore(root).find(ref.fingerprint) is None
    assert ArtifactStore(root).get_or_build(RECIPE, writes("one")).ref == ref
    stored = files_at(root).read("promoted/again.json")
    assert stored is not None
    assert stored.content == promoted
    assert ArtifactStore(root).get_or_build(Recipe("models/gbdt", {"m": "2"}), writes("two")).hit is False


def test_what_is_not_promoted_may_come_out_as_another_one(tmp_path: Path) -> None:
    ref = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one")).ref
    damage(str(tmp_path), content_of(ref))
    again = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("two"))
    assert again.ref.content_hash != ref.content_hash
    with pytest.raises(ArtifactMissing, match="is not there; materialise models/gbdt again"):
        ArtifactStore(tmp_path).open(ref)


def test_what_another_process_made_again_meanwhile_is_not_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one")).ref
    damage(str(tmp_path), content_of(ref))
    reader, read = ArtifactStore(tmp_path), Folder.read

    def while_another_makes_it_again(files: Folder, name: str) -> Stored | None:
        if name == record_of(ref):
            monkeypatch.setattr(Folder, "read", read)
            assert ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one")).ref == ref
        return read(files, name)

    opened = reader.open(ref)
    monkeypatch.setattr(Folder, "read", while_another_makes_it_again)
    assert Path(opened.path("nested/data.txt")).read_text() == "one"
    assert ArtifactStore(tmp_path).get_or_build(RECIPE, never).ref == ref


@pytest.mark.parametrize("step", range(4))
def test_a_kill_at_any_step_of_setting_aside_leaves_what_the_next_build_makes_good(step: int, tmp_path: Path) -> None:
    ref = ArtifactStore(tmp_path).get_or_build(RECIPE, writes("one")).ref
    damage(str(tmp_path), content_of(ref))
    assert started("die_while_setting_aside", tmp_path, step).wait() == -signal.SIGKILL
    again = ArtifactStore(tmp_path, lease_seconds=0.2).get_or_build(RECIPE, writes("one"))
    assert again.ref == ref
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
