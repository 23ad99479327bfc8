"""Who builds when many ask: one, whoever is first; another when that one dies; and what was published stands."""

import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from platform_assets.foundation.artifacts import ArtifactStore, Recipe
from platform_assets.foundation.storage import Lease, files_at
from tests.foundation.artifacts.actors import RECIPE, writes
from tests.foundation.storage.actors import go_on, said
from tests.foundation.storage.actors import started as started_in

LEASE, NEVER, SOON = f"leases/{RECIPE.fingerprint}.json", 600.0, 1.0


def started(act: str, *arguments: object) -> subprocess.Popen[str]:
    return started_in(act, *arguments, module="tests.foundation.artifacts.actors")


def never(folder: Path) -> dict[str, int]:
    raise AssertionError("built again")


@pytest.mark.slow
def test_processes_that_ask_at_once_build_once_and_get_the_same(root: str) -> None:
    actors = [started("build_at_once", root, f"by {number}") for number in range(6)]
    told = [actor.communicate()[0].split("\n")[:-1] for actor in actors]
    assert [actor.returncode for actor in actors] == [0] * 6
    assert sum(lines.count("building") for lines in told) == 1
    assert len({lines[-1].split()[0] for lines in told}) == 1
    assert sorted(lines[-1].split()[1] for lines in told) == ["False"] + ["True"] * 5


def test_who_waits_gets_what_the_other_made(root: str) -> None:
    builder = started("build", root, "theirs", NEVER)
    assert said(builder) == "building"
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ArtifactStore(root).get_or_build, RECIPE, never)
        go_on(builder)
        artifact = waiting.result()
    assert builder.wait() == 0
    assert artifact.hit
    assert artifact.reason == "another process made it meanwhile"
    assert Path(artifact.path("nested/data.txt")).read_text() == "theirs"
    assert files_at(root).names("leases/") == []


def test_a_killed_builder_s_work_is_taken_over(root: str) -> None:
    builder = started("build", root, "theirs", SOON)
    assert said(builder) == "building"
    builder.send_signal(signal.SIGKILL)
    builder.wait()
    artifact = ArtifactStore(root).get_or_build(RECIPE, writes("ours"))
    assert not artifact.hit
    assert Path(artifact.path("nested/data.txt")).read_text() == "ours"
    assert files_at(root).names("leases/") == []


def test_a_kill_between_content_and_record_shows_nothing_and_the_rerun_equals_an_undisturbed_one(
    root: str, tmp_path: Path
) -> None:
    assert started("die_before_the_record", root).wait() == -signal.SIGKILL
    assert files_at(root).names("content/") != []
    store = ArtifactStore(root)
    assert store.find(RECIPE.fingerprint) is None
    rerun = store.get_or_build(RECIPE, writes("one"))
    assert rerun.ref == ArtifactStore(tmp_path / "undisturbed").get_or_build(RECIPE, writes("one")).ref


def test_a_builder_stopped_until_another_published_cannot_undo_it_and_takes_it_for_its_own(root: str) -> None:
    builder = started("build", root, "late", SOON)
    assert said(builder) == "building"
    builder.send_signal(signal.SIGSTOP)
    ours = ArtifactStore(root).get_or_build(RECIPE, writes("ours"))
    record = files_at(root).read(f"recipes/{RECIPE.fingerprint}.json")
    latest = files_at(root).read(f"latest/{RECIPE.key}.json")
    builder.send_signal(signal.SIGCONT)
    go_on(builder)
    reason = "another process published the same first; its artifact stands"
    assert said(builder) == f"{ours.ref.content_hash} ours {reason}"
    assert builder.wait() == 0
    assert files_at(root).read(f"recipes/{RECIPE.fingerprint}.json") == record
    assert files_at(root).read(f"latest/{RECIPE.key}.json") == latest


def test_a_hit_asks_for_no_lease(root: str) -> None:
    store = ArtifactStore(root)
    made = store.get_or_build(RECIPE, writes("one"))
    with Lease(files_at(root), LEASE, NEVER):
        assert store.get_or_build(RECIPE, never).ref == made.ref


def test_threads_that_ask_at_once_build_once(root: str) -> None:
    built, together = [], Barrier(4)

    def build(folder: Path) -> dict[str, int]:
        built.append(folder)
        return writes("one")(folder)

    def ask(_: int) -> str:
        together.wait()
        return ArtifactStore(root).get_or_build(RECIPE, build).ref.content_hash

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert len(built) == 1


def test_a_build_may_ask_for_other_recipes(root: str) -> None:
    store = ArtifactStore(root)
    other = Recipe("models/other", {})

    def build(folder: Path) -> dict[str, str | int]:
        return {"other": store.get_or_build(other, writes("inner")).ref.content_hash} | writes("outer")(folder)

    artifact = store.get_or_build(RECIPE, build)
    assert artifact.metadata["other"] == store.get_or_build(other, never).ref.content_hash


def test_a_build_that_asks_for_itself_is_told_so(root: str) -> None:
    store = ArtifactStore(root)
    with pytest.raises(RecursionError, match="models/gbdt: its build asks for models/gbdt itself"):
        store.get_or_build(RECIPE, lambda _: store.get_or_build(RECIPE, never).metadata)
    assert store.get_or_build(RECIPE, writes("one")).reason == "first time"
