"""The commands people type: `platform-assets …`, and Dagster's own that materialises assets."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from platform_assets.campaigns.declaration.beginning import NothingToBegin, event_of
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore, PublishedTable
from platform_assets.environment import REPOSITORY, Environment
from samples.movies import UNTIL
from tests.support.declared import GOOD, with_campaigns, write_declaration
from tests.support.processes import run_python
from tests.support.running import Platform, on, variables_of
from tests.support.small_exports import NINE_STARS, small_movies, write_movies


@pytest.fixture
def campaigns(environment: Environment) -> Environment:
    """An environment with a campaign folder of its own, which holds one good campaign."""
    return with_campaigns(environment, {"good": GOOD})


def test_check_says_ok_to_every_file_of_the_repository(environment: Environment) -> None:
    checked = on(environment)("check")
    assert checked.exit_code == 0, checked.output
    *files, schedules = checked.stdout.splitlines()
    assert files == ["ok 2 sources", "ok repeat_buyers", "ok scifi_fans", "ok winback"]
    assert schedules.startswith("schedules off here unless turned on: repeat_buyers (week), winback (month); turn them")


def test_check_exits_1_and_names_every_mistake_of_every_file(campaigns: Environment) -> None:
    two = GOOD.replace("entity: customer", "entity: custommer")
    first = write_declaration(campaigns.campaigns, "first", two)
    second = write_declaration(
        campaigns.campaigns,
        "second",
        GOOD.replace("owner: crm@example.com", "owner: nobody") + "  featurs: all\n",
    )
    checked = on(campaigns)("check")
    assert checked.exit_code == 1
    assert f'!! {first}:5: entity: there is no entity custommer; did you mean "customer"?' in checked.stdout
    assert f"!! {second}:3: owner: " in checked.stdout
    assert f'!! {second}:9: featurs: is not a field here; did you mean "features"?' in checked.stdout
    assert "ok good" in checked.stdout
    assert "2 of the files above cannot be honoured" in checked.stderr


def test_check_is_strict_over_sources_too(campaigns: Environment) -> None:
    sources = campaigns.data / "sources"
    place = write_declaration(sources, "shop", "type: platform_assets.components.ExportSource\n")
    checked = on(campaigns)("check", PLATFORM_SOURCES_DIR=str(sources))
    assert checked.exit_code == 1
    assert f"!! {place}:" in checked.stdout


@pytest.mark.parametrize(
    ("place", "said", "code"),
    [
        ("campaigns/late/defs.yml", "!! {path}: is not read; rename it to defs.yaml", 1),
        ("campaigns/late.yaml", "!! {path}: nothing reads it; a declaration is <name>/defs.yaml", 1),
        ("campaigns/good/old/defs.yaml", "!! {path}: nothing reads it; a declaration is <name>/defs.yaml", 1),
        ("campaigns/good/defs.yml", "!! {path}: nothing reads it; a declaration is <name>/defs.yaml", 1),
        ("sources/shop/defs.yml", "!! {path}: is not read; rename it to defs.yaml", 1),
        ("extra.yaml", "!! {path}: nothing reads it; a declaration is <name>/defs.yaml", 1),
        ("campaigns/good/notes.md", "?? {path}: nothing reads it; a declaration is <name>/defs.yaml", 0),
    ],
)
def test_check_names_every_file_that_nothing_reads(
    environment: Environment, tmp_path: Path, place: str, said: str, code: int
) -> None:
    folder = tmp_path / "defs"
    write_declaration(folder / "campaigns", "good", GOOD)
    (folder / "sources").mkdir()
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(GOOD)
    looked_at = replace(environment, campaigns=folder / "campaigns", sources=folder / "sources")
    checked = on(looked_at)("check")
    assert said.format(path=path) in checked.stdout.splitlines()
    assert checked.exit_code == code
    assert "ok good" in checked.stdout
    assert checked.stdout.count("!!") == code


def test_check_names_one_broken_source_and_counts_the_others(environment: Environment, tmp_path: Path) -> None:
    for name in ("shop", "movies"):
        text = (REPOSITORY / "defs" / "sources" / name / "defs.yaml").read_text(encoding="utf-8")
        write_declaration(tmp_path / "sources", name, text.replace("aurora_snapshot", "&a aurora_snapshot"))
    checked = on(replace(environment, sources=tmp_path / "sources"))("check")
    assert checked.exit_code == 1
    assert "ok 1 sources" in checked.stdout
    assert f"!! {tmp_path / 'sources' / 'shop' / 'defs.yaml'}:5: anchors and aliases" in checked.stdout
    assert "ok winback" in checked.stdout


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("  score_at: 2030-01-01\n", "score_at 2030-01-01: the exports cover everything before 1998-07-01"),
        ("  train: {as_of: [1998-06-01]}\n", "train.as_of 1998-06-01: its label (horizon 90 days"),
        ("  train: {snapshots: 2, every: 400d}\n", "label.within 90d: as of 1997-02-26 nobody is known, since the events of orders reach"),
        ("", None),
    ],
)  # fmt: skip
def test_check_warns_of_dates_that_the_published_marts_cannot_answer(
    campaigns: Environment, stated: str, said: str | None
) -> None:
    (campaigns.campaigns / "good" / "defs.yaml").write_text(GOOD + stated)
    before = on(campaigns)("check")
    assert "??" not in before.stdout
    tables = [
        replace(PUBLISHED, name=name, first_event=first)
        for name, first in (("orders", datetime(1997, 6, 1, tzinfo=UTC)), ("customers", None))
    ]
    MartStore(campaigns.marts).publish(tables)
    checked = on(campaigns)("check")
    assert checked.exit_code == 0
    doubts = [line for line in checked.stdout.splitlines() if line.startswith("??")]
    assert len(doubts) == (said is not None)
    assert not said or f"?? good: {said}" in doubts[0]


PUBLISHED = PublishedTable(
    name="",
    version="1",
    location="1",
    rows=1,
    watermark=datetime(1998, 7, 1, tzinfo=UTC),
    first_event=None,
    last_event=None,
    days={},
    content_hash="",
)


def test_check_exits_1_in_a_process_of_its_own(campaigns: Environment) -> None:
    write_declaration(campaigns.campaigns, "broken", GOOD + "  channel: mail\n")
    program = Path(sys.executable).with_name("platform-assets")
    command = (program,) if program.exists() else ("-c", "from platform_assets.cli import main; main()")
    done = run_python(*command, "check", variables=variables_of(campaigns))
    assert done.returncode == 1
    assert "broken/defs.yaml:9: channel: is not a field here" in done.stdout
    assert "Traceback" not in done.stderr


def test_new_copies_a_campaign_that_then_checks(campaigns: Environment) -> None:
    command = on(campaigns)
    made = command("new", "again", "--like", "good")
    assert made.exit_code == 0, made.output
    place = campaigns.campaigns / "again" / "defs.yaml"
    assert str(place) in made.stdout
    assert "platform-assets preview again" in made.stdout
    assert place.read_text(encoding="utf-8") == GOOD
    assert "ok again" in command("check").stdout


@pytest.mark.parametrize(
    ("name", "like", "told"),
    [
        ("again", "goood", "there is no campaign goood in"),
        ("again", "goood", 'did you mean "good"?'),
        ("good", "good", "exists already; choose another name or edit it"),
        ("Again", "good", "is not lower-case letters, digits and _"),
        ("2024", "good", "is not lower-case letters, digits and _"),
        ("a/b", "good", "is not lower-case letters, digits and _"),
        ("../again", "good", "is not lower-case letters, digits and _"),
    ],
)
def test_new_refuses_what_would_not_work_and_writes_nothing(
    campaigns: Environment, name: str, like: str, told: str
) -> None:
    before = sorted(campaigns.data.rglob("*"))
    refused = on(campaigns)("new", name, "--like", like)
    assert refused.exit_code == 1
    assert told in refused.stderr
    assert sorted(campaigns.data.rglob("*")) == before


def test_new_begins_a_campaign_that_checks_from_what_the_marts_declare(campaigns: Environment) -> None:
    command = on(campaigns)
    made = command("new", "first", "--entity", "customer", "--owner", "crm@example.com")
    assert made.exit_code == 0, made.output
    text = (campaigns.campaigns / "first" / "defs.yaml").read_text(encoding="utf-8")
    assert "label: {event: orders, within: 30d}" in text
    assert "amount" in text
    assert "ok first" in command("check").stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "say whom it is about with --entity: customer, viewer"),
        (("--entity", "custommer"), '--entity custommer: there is no such entity; did you mean "customer"?'),
        (
            ("--entity", "customer", "--event", "order"),
            '--event order: is no mart of events of customer; did you mean "orders"?',
        ),
        (("--entity", "customer", "--event", "ratings"), "--event ratings: is no mart of events of customer"),
        (("--entity", "customer"), "say who answers for it: --owner team:name, or an e-mail address"),
        (("--entity", "customer", "--owner", "nobody"), "owner: "),
        (("--like", "good", "--entity", "customer"), "--like copies all of a campaign; leave --entity"),
    ],
)
def test_new_says_what_it_cannot_guess_and_writes_nothing(
    campaigns: Environment, options: tuple[str, ...], told: str
) -> None:
    before = sorted(campaigns.data.rglob("*"))
    refused = on(campaigns)("new", "first", *options)
    assert refused.exit_code == 1
    assert told in refused.stderr
    assert sorted(campaigns.data.rglob("*")) == before


def test_new_says_how_to_come_by_people_where_no_mart_has_them() -> None:
    with pytest.raises(NothingToBegin, match="add a source of what they did first: platform-assets source add"):
        event_of(Catalog({}, {}), None, None)


def test_new_refuses_to_copy_a_broken_campaign(campaigns: Environment) -> None:
    write_declaration(campaigns.campaigns, "broken", GOOD + "  channel: mail\n")
    refused = on(campaigns)("new", "again", "--like", "broken")
    assert refused.exit_code == 1
    assert "broken/defs.yaml:9: channel: is not a field here" in refused.stderr
    assert not (campaigns.campaigns / "again").exists()


def test_schema_describes_every_field_and_takes_the_repository_s_files(
    environment: Environment, tmp_path: Path
) -> None:
    from platform_assets.campaigns.declaration.spec import CampaignSpec

    shown = on(environment)("schema")
    schema = json.loads(shown.stdout)
    fields = schema["properties"]["attributes"]["properties"]
    assert set(fields) == set(CampaignSpec.model_fields)
    undescribed = [name for name, field in fields.items() if not field.get("description")]
    assert undescribed == []
    for place in REPOSITORY.glob("defs/campaigns/*/defs.yaml"):
        written = yaml.safe_load(place.read_text(encoding="utf-8"))
        assert set(written["attributes"]) <= set(fields)
        assert set(schema["properties"]["attributes"]["required"]) <= set(written["attributes"])

    kept = tmp_path / "campaign.schema.json"
    assert on(environment)("schema", "--output", str(kept)).exit_code == 0
    assert json.loads(kept.read_text(encoding="utf-8")) == schema


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PLATFORM_TIMEZONE", "Berlin"), ("PLATFORM_ENV", "moon"), ("PLATFORM_DATEN", "x")],
)
def test_a_wrong_variable_is_told_without_a_traceback(environment: Environment, variable: str, value: str) -> None:
    refused = on(environment)("check", **{variable: value})
    assert refused.exit_code == 1
    assert variable in refused.stderr
    assert refused.stderr.startswith("Error: ")


def test_a_missing_manifest_is_told_with_the_command_that_makes_it(environment: Environment, tmp_path: Path) -> None:
    refused = on(environment)("check", PLATFORM_DBT_PROJECT=str(tmp_path / "nowhere"))
    assert refused.exit_code == 1
    assert "Run `platform-assets manifest`" in refused.stderr


def test_preview_before_anything_is_published_says_what_to_materialise(environment: Environment) -> None:
    refused = on(environment)("preview", "repeat_buyers")
    assert refused.exit_code == 1
    assert "materialise marts/" in refused.stderr
    unknown = on(environment)("preview", "repeat_buyer")
    assert unknown.exit_code == 1
    assert 'did you mean "repeat_buyers"?' in unknown.stderr


@pytest.mark.slow
@pytest.mark.parametrize("campaign", ["repeat_buyers", "winback", "scifi_fans"])
def test_preview_answers_what_people_ask_before_they_train(own_platform: Platform, campaign: str) -> None:
    command = on(own_platform.environment)
    started = time.perf_counter()
    looked = command("preview", campaign)
    print(f"\npreview {campaign}: {time.perf_counter() - started:.1f} s\n{looked.output}")
    assert looked.exit_code == 0, looked.output
    for words in (
        f"{campaign}: scores as of 1998-",
        "population",
        "asked about",
        "positives",
        "base rate",
        "best one-column rule: ",
    ):
        assert words in looked.stdout


@pytest.mark.slow
def test_preview_refuses_a_campaign_with_too_few_positives(own_platform: Platform) -> None:
    folder = own_platform.environment.data / "campaigns"
    write_declaration(folder, "whales", GOOD + "  population: count(orders, 90) >= 8\n")
    refused = on(own_platform.environment)("preview", "whales", PLATFORM_CAMPAIGNS_DIR=str(folder))
    assert refused.exit_code == 1
    assert "at least 50 are needed" in refused.stderr


@pytest.mark.slow
def test_dagster_s_command_exits_with_0_or_not_and_a_failed_audit_stops_what_is_started_after_it(
    own_platform: Platform, tmp_path: Path
) -> None:
    environment = own_platform.environment
    home = tmp_path / "home"
    home.mkdir()

    def materialize(*arguments: str) -> subprocess.CompletedProcess[str]:
        quiet = {"DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "yes"}
        command = ("-m", "dagster", "asset", "materialize", "-m", "platform_assets.definitions", *arguments)
        return run_python(*command, variables=variables_of(environment) | quiet)

    features = ("--select", 'key:"features/viewer/taste"', "--partition", f"{UNTIL:%Y-%m-%d}")
    ratings = ("--select", '+key:"marts/ratings"')
    good = materialize(*features)
    assert good.returncode == 0, good.stderr

    later: datetime = UNTIL + timedelta(days=7)
    tables = small_movies()
    write_movies(Path(environment.exports), tables | {"ratings": [*tables["ratings"], NINE_STARS]}, later)
    failed = materialize(*ratings)
    assert failed.returncode != 0, failed.stderr
    assert (
        "ratings: its last build failed dbt test rating_is_from_1_to_5 (1 failing rows)"
        in failed.stdout + failed.stderr
    )

    alone = materialize(*features)
    assert alone.returncode != 0, alone.stderr
    assert "mart ratings: its last build failed dbt test rating_is_from_1_to_5" in alone.stdout + alone.stderr
    assert "materialise marts/ratings again" in alone.stdout + alone.stderr
    lines = on(environment)("doctor").stdout.splitlines()
    assert [line for line in lines if line.startswith("!! mart")] == [
        "!! mart ratings: its last build failed dbt test rating_is_from_1_to_5 (1 failing rows)"
    ]
