"""What is mended is loaded in place of what was loaded without its broken rows; what is not stays as it was loaded."""

import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
import yaml
from click.testing import CliRunner

from platform_assets.cli import main
from platform_assets.data.engines.duckdb import raw_tables as folder_tables
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.raw.assets import export_assets
from platform_assets.data.raw.discover import discover, load_source
from platform_assets.data.raw.replay import replay
from platform_assets.environment import Environment, local_environment
from tests.data.quarantine.broken import MARK, THINGS, allowing, data_files, item, text, with_lines, write_full
from tests.support.running import variables_of

SPEC = allowing(0.6, THINGS)
GOOD = [text({"Item": item(number)}) for number in range(6)]
BROKEN = [GOOD[:2], [MARK.encode(), text({"Item": item(9)}), text({"Item": item(9)})]]
MENDED = [GOOD[:2], GOOD[2:5]]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    environment = local_environment(tmp_path / "data")
    sources = tmp_path / "sources"
    (sources / "things").mkdir(parents=True)
    attributes = SPEC.model_dump(mode="json", exclude_defaults=True, by_alias=True)
    declared = {"type": "platform_assets.components.ExportSource", "attributes": attributes}
    (sources / "things" / "defs.yaml").write_text(yaml.safe_dump(declared))
    return replace(environment, sources=sources)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def type_in(environment: Environment, *words: str) -> tuple[int, str]:
    told = CliRunner().invoke(main, ["source", "replay", *words], env=variables_of(environment))
    assert told.exception is None or isinstance(told.exception, SystemExit), repr(told.exception)
    return told.exit_code, told.output


def test_the_command_loads_what_is_mended_in_place_of_what_was_loaded(environment: Environment, tmp_path: Path) -> None:
    lake, raw = Path(environment.exports), environment.data / "raw"
    folder = write_full(lake, BROKEN)
    load_source(SPEC, "things", lake, FolderTables(raw))
    place = raw / "things" / "things" / folder.name
    before = content(place)

    code, said = type_in(environment, "things")
    assert (code, content(place)) == (0, before)
    assert f"things, {folder.name}: 2 rows loaded, 3 quarantined (3 before)" in said

    with_lines(folder, [GOOD[:2], [MARK.encode(), b"{", b"["]])
    (lake / data_files(folder)[0]).unlink()
    code, said = type_in(environment, "things", "things")
    assert (code, content(place)) == (1, before)
    assert "is absent" in said
    assert "What was loaded of these before stays." in said
    assert MARK not in said

    shutil.rmtree(folder)
    write_full(lake, MENDED)
    (aside,) = load_source(SPEC, "things", lake, FolderTables(raw)).set_aside
    assert "platform-assets source replay things" in aside.reason
    assert content(place) == before
    code, said = type_in(environment, "things", "things")
    assert code == 0
    assert f"things, {folder.name}: 5 rows loaded, 0 quarantined (3 before)" in said
    at_once = load_source(SPEC, "things", lake, FolderTables(tmp_path / "at_once")).tables["things"]
    mended = load_source(SPEC, "things", lake, FolderTables(raw))
    assert (mended.set_aside, mended.tables["things"].data_version) == ((), at_once.data_version)
    assert content(place) == content(Path(at_once.exports[0].location))

    code, said = type_in(environment, "things")
    assert (code, "no row of its tables is quarantined" in said) == (0, True)


def test_the_command_knows_sources_and_tables(environment: Environment) -> None:
    assert type_in(environment, "thing") == (
        1,
        f'Error: there is no source thing in {environment.sources}; did you mean "things"?\n',
    )
    assert type_in(environment, "things", "thing") == (
        1,
        'Error: source things has no table thing; did you mean "things"?\n',
    )


def test_a_declaration_that_is_mended_loads_the_rows_that_it_broke(lake: Path, tables: FolderTables) -> None:
    lines = [text({"Item": item(1, place={"N": str(number)})}) for number in range(3)]
    write_full(lake, [[text({"Item": item(2, place={"N": "9"})}), *lines]])
    wrong = allowing(0.9, THINGS)
    load_source(wrong, "things", lake, tables)
    right = wrong.model_copy(update={"tables": [wrong.tables[0].model_copy(update={"key": ["id", "place"]})]})
    (one,) = replay(right, "things", lake, tables)
    assert (one.before.rows, one.now and one.now.rows, one.now and one.now.quarantined) == (1, 4, None)
    assert one.now is not None
    assert one.now.rows_hash != one.before.rows_hash


def test_an_export_that_is_gone_is_told_and_stays(lake: Path, tables: FolderTables) -> None:
    folder = write_full(lake, BROKEN)
    load_source(SPEC, "things", lake, tables)
    shutil.rmtree(folder)
    (one,) = replay(SPEC, "things", lake, tables)
    assert one.now is None
    assert f"export {folder.name} of things is not in the lake any more" in one.refused
    assert tables.loaded([("things", "things")])["things", "things"] == [one.before]


def reload_and_die(lake: Path, raw: Path, step: int) -> None:
    """What a process does that is killed at its so-manieth step that changes something on the disk."""
    count = 0

    def dying(act: object) -> object:
        def done(*arguments: object) -> object:
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return act(*arguments)  # type: ignore[operator]

        return done

    for name in ("exchange", "write_sums", "stage", "_remove"):
        setattr(folder_tables, name, dying(getattr(folder_tables, name)))
    (export,) = discover(SPEC, "things", lake).complete
    FolderTables(raw).reload(export, "things")


def test_a_process_that_is_killed_leaves_what_was_loaded_or_what_is_mended(
    lake: Path, raw: Path, tmp_path: Path
) -> None:
    folder = write_full(lake, BROKEN)
    load_source(SPEC, "things", lake, FolderTables(raw))
    place = raw / "things" / "things" / folder.name
    shutil.copytree(raw, tmp_path / "earlier")
    before = content(place)
    shutil.rmtree(folder)
    write_full(lake, MENDED)
    shutil.copytree(raw, tmp_path / "later")
    (export,) = discover(SPEC, "things", lake).complete
    FolderTables(tmp_path / "later").reload(export, "things")
    after = content(tmp_path / "later" / "things" / "things" / folder.name)
    seen = set()
    for step in range(1, 30):
        process = multiprocessing.get_context("fork").Process(target=reload_and_die, args=(lake, raw, step))
        process.start()
        process.join()
        now = content(place)
        assert now in (before, after)
        seen.add(now == after)
        FolderTables(raw).reload(export, "things")
        assert content(place) == after
        if process.exitcode == 0:
            break
        shutil.rmtree(raw)
        shutil.copytree(tmp_path / "earlier", raw)
    assert seen == {False, True}


def test_dagster_tells_counts_by_reason_and_file_and_no_value(environment: Environment) -> None:
    folder = write_full(Path(environment.exports), BROKEN)
    (assets,) = export_assets(SPEC, "things", environment)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([assets], instance=instance)
        events = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert MARK not in events
    (event,) = result.asset_materializations_for_node("raw_things")
    assert event.metadata["quarantined_rows"] == dg.MetadataValue.int(3)
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "no_row_is_quarantined"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"3 rows of {folder.name} are broken" in str(check.description)
    assert "1 of them do not tell their key" in str(check.description)
    assert "platform-assets source replay things things" in str(check.description)
    name = data_files(folder)[1].rsplit("/", 1)[-1]
    assert {key: value.value for key, value in check.metadata.items()} == {
        "rows": 3,
        "key of more than one row": 2,
        "not JSON": 1,
        f"{folder.name}/{name}": 3,
    }
