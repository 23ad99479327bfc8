"""What `platform-assets doctor` finds, and what to do about it."""

import os
from pathlib import Path

from platform_assets.data.catalog.pointer import MartStore
from platform_assets.environment import Environment
from tests.support.declared import GOOD, with_campaigns, write_declaration
from tests.support.running import on
from tests.support.small_exports import write_empty_exports


def test_the_doctor_says_what_to_do_on_a_new_machine(environment: Environment, tmp_path: Path) -> None:
    looked = on(environment)("doctor", DAGSTER_HOME="")
    assert looked.exit_code == 1
    lines = looked.stdout.splitlines()
    remedies = {
        "!! DAGSTER_HOME: not set": "make ui",
        "!! exports of shop: 0 complete, newest none; 0 in progress": "put an export below",
        "!! exports of movies: 0 complete, newest none; 0 in progress": "put an export below",
        "!! marts: none published": "refresh_marts",
    }
    for finding, remedy in remedies.items():
        assert finding in lines
        assert remedy in lines[lines.index(finding) + 1]
    assert "ok campaign winback: no promoted model yet" in lines
    assert "ok dbt manifest: as new as the project" in lines
    assert not environment.data.exists()


def test_the_doctor_sees_a_missing_manifest_and_an_old_one(environment: Environment, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    (project / "models" / "orders.sql").write_text("select 1", encoding="utf-8")
    looked = on(environment)("doctor", PLATFORM_DBT_PROJECT=str(project))
    assert looked.exit_code == 1
    assert f"!! dbt manifest: {project / 'target' / 'manifest.json'} is not there" in looked.stdout
    told = [line for line in looked.stdout.splitlines() if "manifest" in line]
    assert told == [
        f"!! dbt manifest: {project / 'target' / 'manifest.json'} is not there",
        "   run `platform-assets manifest`",
    ]

    (project / "target").mkdir()
    manifest = project / "target" / "manifest.json"
    manifest.write_bytes(environment.dbt_manifest.read_bytes())
    os.utime(manifest, (0, 0))
    assert (
        "!! dbt manifest: older than the project" in on(environment)("doctor", PLATFORM_DBT_PROJECT=str(project)).stdout
    )


def test_the_doctor_names_broken_files_and_exports(environment: Environment) -> None:
    campaigns = with_campaigns(environment, {"good": GOOD})
    write_declaration(campaigns.campaigns, "broken", GOOD + "  channel: mail\n")
    write_empty_exports(campaigns)
    info = next((Path(campaigns.exports) / "shop").rglob("export_info_*.json"))
    info.write_text("{", encoding="utf-8")
    looked = on(campaigns)("doctor")
    assert looked.exit_code == 1
    assert "!! campaign broken:" in looked.stdout
    assert "!! exports of shop:" in looked.stdout
    assert info.name in looked.stdout
    assert "ok exports of movies: 3 complete" in looked.stdout


def test_the_doctor_names_damaged_pointers_and_looks_at_the_rest(environment: Environment) -> None:
    for name in ("marts/current.json", "artifacts/promoted/winback.json"):
        (environment.data / name).parent.mkdir(parents=True)
        (environment.data / name).write_bytes(b"")
    looked = on(environment)("doctor")
    assert f"!! marts: {environment.data}/marts/current.json, which" in looked.stdout
    assert f"!! campaign winback: {environment.data}/artifacts/promoted/winback.json, which" in looked.stdout
    assert "ok campaign repeat_buyers: no promoted model yet" in looked.stdout


def test_the_doctor_says_why_a_mart_that_was_never_published_is_refused(environment: Environment) -> None:
    MartStore(environment.marts).refuse(["orders"], "its last build failed dbt test unique_orders_order_id")
    looked = on(environment)("doctor")
    assert "!! mart orders: its last build failed dbt test unique_orders_order_id" in looked.stdout
