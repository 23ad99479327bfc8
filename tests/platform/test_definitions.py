"""What Dagster shows: every definition, what loading costs, scope, and files that are broken."""

import difflib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from platform_assets.campaigns.declaration.parsing import DeclarationError
from platform_assets.components import Campaign, ExportSource
from platform_assets.data.features.registry import GroupRefused
from platform_assets.definitions import build_definitions, io_manager_of
from platform_assets.environment import REPOSITORY, Environment, Scope, local_environment
from platform_assets.operations.diagnosis import diagnose
from tests.support.declared import FETCHED, GOOD, with_campaigns, write_declaration
from tests.support.processes import run_python
from tests.support.running import jobs_in, keys

SNAPSHOT = Path(__file__).parent / "snapshots" / "definitions.txt"
REGENERATE = "UPDATE_SNAPSHOTS"
HEAVY = {
    *("torch", "lightgbm", "great_expectations", "sklearn", "scipy", "kubernetes", "dagster_k8s"),
    *("matplotlib", "dbt", "dagster_dbt", "numpy", "pandas", "pyarrow", "duckdb", "ibis"),
    *("google.auth", "google.api_core", "google.oauth2", "google.cloud.storage", "google.cloud.bigquery"),
    *("boto3", "botocore", "dlt"),
}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory, dbt_project: Path) -> dg.Definitions:
    environment = local_environment(tmp_path_factory.mktemp("definitions"), dbt_project=dbt_project)
    return build_definitions(environment)


def described(definitions: dg.Definitions) -> list[str]:
    """Everything Dagster shows of the definitions that people rely on by name, in lines."""
    graph, repository = definitions.resolve_asset_graph(), definitions.get_repository_def()
    lines = [line for key in sorted(graph.get_all_asset_keys()) for line in _asset_lines(graph.get(key))]
    for name, job in sorted(jobs_in(definitions).items()):
        lines += [f"job {name}", *(f"  {key}" for key in _sorted(job.asset_layer.selected_asset_keys))]
    for schedule in sorted(repository.schedule_defs, key=lambda schedule: schedule.name):
        when = f"{schedule.cron_schedule} {schedule.execution_timezone}"
        lines.append(f"schedule {schedule.name}: {when} starts {schedule.job_name}")
    for sensor in sorted(repository.sensor_defs, key=lambda sensor: sensor.name):
        lines.append(f"sensor {sensor.name}: every {sensor.minimum_interval_seconds} s, starts {sensor.job_name}")
    return lines


def _asset_lines(node: Any) -> list[str]:
    told = {
        "group": [node.group_name],
        "kinds": sorted(node.kinds),
        "owners": node.owners,
        "partitions": [str(node.partitions_def)] if node.partitions_def else [],
        "from": _sorted(node.parent_keys),
        "checks": sorted(key.name for key in node.check_keys),
    }
    return [
        f"asset {node.key.to_user_string()}",
        *(f"  {what}: {', '.join(values)}" for what, values in told.items() if values),
    ]


def _sorted(found: Any) -> list[str]:
    return sorted(key.to_user_string() for key in found)


def test_assets_checks_jobs_schedules_and_sensors_are_those_of_the_snapshot(
    definitions: dg.Definitions,
) -> None:
    told = described(definitions)
    if os.environ.get(REGENERATE) == "1":
        SNAPSHOT.write_text("\n".join([*told, ""]), encoding="utf-8")
    kept = SNAPSHOT.read_text(encoding="utf-8").splitlines() if SNAPSHOT.is_file() else []
    changed = "\n".join(difflib.unified_diff(kept, told, SNAPSHOT.name, "as it is", lineterm="", n=4))
    assert not changed, (
        f"{changed}\nIf this is meant: {REGENERATE}=1 python -m pytest tests/platform/test_definitions.py writes it down"
    )


def test_every_asset_has_a_group_a_description_and_kinds_but_the_gate(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    assert not [node.key for node in nodes if not node.description]
    assert not [node.key for node in nodes if node.group_name == "default"]
    assert {node.key.path[-1] for node in nodes if not node.kinds} <= {"promoted_model"}


def test_a_service_that_is_fetched_is_an_asset_before_its_raw_tables_and_has_a_schedule(
    definitions: dg.Definitions, environment: Environment
) -> None:
    folder = environment.data / "sources"
    write_declaration(folder, "billing", FETCHED)
    there = described(build_definitions(replace(environment, sources=folder, schedules=True)))
    start = there.index("asset exports/billing")
    assert there[start : start + 4] == [
        "asset exports/billing",
        "  group: exports",
        "  kinds: stripe",
        "  owners: team:billing",
    ]
    start = there.index("asset raw/billing/customers")
    assert there[start : start + 5] == [
        "asset raw/billing/customers",
        "  group: raw",
        "  kinds: parquet, stripe",
        "  owners: team:billing",
        "  from: exports/billing",
    ]
    start = there.index("job refresh_marts")
    assert "  exports/billing" not in there[start:]
    assert "  raw/billing/customers" in there[start:]
    [schedule] = [line for line in there if line.startswith("schedule fetch_")]
    assert schedule.startswith("schedule fetch_billing: 17 2 * * * UTC starts ")


def test_everything_loads_as_one_repository_whose_jobs_resolve(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


IN_CLOUD = {
    "PLATFORM_ENV": "gcp",
    "PLATFORM_PROJECT": "my-project",
    "PLATFORM_POLICY_TAGS": "personal=projects/p/locations/us/taxonomies/1/policyTags/2",
}


ON_KUBERNETES = IN_CLOUD | {"PLATFORM_EXECUTOR": "kubernetes", "PLATFORM_SCORING_SHARDS": "2"}


@pytest.fixture(scope="module")
def automatic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Campaigns with one that leaves its models to the platform, and sources with a service that is fetched."""
    folder = tmp_path_factory.mktemp("declared")
    write_declaration(folder / "campaigns", "automatic", GOOD + "  advanced: {models: auto, refit: true}\n")
    write_declaration(folder / "sources", "billing", FETCHED)
    return folder


@pytest.mark.parametrize("where", [{}, IN_CLOUD, ON_KUBERNETES], ids=["local", "gcp", "kubernetes"])
@pytest.mark.parametrize("models", ["named", "auto"])
def test_loading_definitions_imports_nothing_that_only_steps_need(
    where: dict[str, str], models: str, automatic: Path, environment: Environment
) -> None:
    code = (
        "import sys, time; started = time.perf_counter()\n"
        "from platform_assets.definitions import defs\n"
        "repository = defs().get_repository_def()\n"
        "assert repository.has_job('refresh_marts')\n"
        "print(f'{time.perf_counter() - started:.1f} s', file=sys.stderr)\n"
        "print(*sorted(sys.modules))"
    )
    variables = {
        "PLATFORM_DATA": str(environment.data),
        "PLATFORM_DBT_PROJECT": str(environment.dbt_project),
    }
    if models == "auto":
        variables |= {f"PLATFORM_{name.upper()}_DIR": str(automatic / name) for name in ("campaigns", "sources")}
    done = run_python("-c", code, variables=variables | where)
    assert done.returncode == 0, done.stderr
    print(f"import and load in a fresh process: {done.stderr.strip().splitlines()[-1]}")
    assert not HEAVY & set(done.stdout.split())
    assert not environment.data.exists()


GROUP = """
from platform_assets.data.features.group import Feature, FeatureGroup
from platform_assets.data.features.windows import count, so_far


def build(marts, spine):
    return so_far(marts["orders"], spine, {"number": count()})


GROUP = FeatureGroup("numbers", "customer", "Numbers", ("orders",), {"number": Feature("orders")}, build, __name__)
"""


def with_a_group(environment: Environment, folder: Path, text: str) -> Environment:
    """The environment with a project that brings one file of its own, and one campaign."""
    (folder / "features").mkdir()
    (folder / "features" / "numbers.py").write_text(text)
    return replace(with_campaigns(environment, {"again": GOOD}), project=folder)


def test_features_bodies_jobs_and_training_sets_follow_the_projects_groups(
    environment: Environment, definitions: dg.Definitions, tmp_path: Path
) -> None:
    own = build_definitions(with_a_group(environment, tmp_path, GROUP))
    features = {key for key in keys(own) if key.startswith("features/")}
    assert {key for key in features if key.startswith("features/customer/")} == {"features/customer/numbers"}
    # An entity for which nobody wrote a group gets derived ones.
    assert "features/viewer/ratings_activity" in features
    assert {key for key in keys(own) if key.startswith("bodies/")} == {"bodies/customer", "bodies/viewer"}
    pretraining = {"pretrain_customer", "pretrain_viewer"}
    assert {name for name in jobs_in(own) if name.startswith("pretrain_")} == pretraining
    schedules = {one.name for one in own.get_repository_def().schedule_defs if one.name.startswith("pretrain_")}
    assert schedules == {f"{name}_monthly" for name in pretraining}
    training = own.resolve_asset_graph().get(dg.AssetKey(["again", "training_set"]))
    assert _sorted(training.parent_keys) == ["features/customer/numbers"]
    assert "features/customer/numbers" in _sorted(jobs_in(own)["score_customer"].asset_layer.selected_asset_keys)
    # What another project brings leaves this one's definitions as they were.
    assert "features/customer/order_windows" in keys(definitions)


def test_a_broken_group_stops_the_load_with_its_line(environment: Environment, tmp_path: Path) -> None:
    broken = with_a_group(environment, tmp_path, "\nimport nothing_of_that_name\n")
    with pytest.raises(GroupRefused, match=r"features/numbers\.py:2: cannot be imported: ModuleNotFoundError"):
        build_definitions(broken)
    assert [one.what for one in diagnose(broken) if "numbers.py:2" in one.found] == ["feature groups"]


def test_a_scope_defines_its_campaign_and_everything_shared(
    environment: Environment, definitions: dg.Definitions
) -> None:
    scoped = build_definitions(replace(environment, scope=Scope(frozenset({"winback"}))))
    others = ("repeat_buyers/", "scifi_fans/")
    assert keys(scoped) == {key for key in keys(definitions) if not key.startswith(others)}
    pretraining = {"pretrain_customer", "pretrain_viewer"}
    assert set(jobs_in(scoped)) == {"refresh_marts", "train_winback", "score_customer"} | pretraining


@pytest.mark.parametrize(("component", "file"), [(Campaign, "campaigns/winback"), (ExportSource, "sources/shop")])
def test_a_file_loads_alone_through_dagster_s_component_loader(
    component: type[dg.Component],
    file: str,
    environment: Environment,
    definitions: dg.Definitions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLATFORM_DATA", str(environment.data))
    monkeypatch.setenv("PLATFORM_DBT_PROJECT", str(environment.dbt_project))
    name = Path(file).name
    text = (REPOSITORY / "defs" / file / "defs.yaml").read_text(encoding="utf-8")
    with create_defs_folder_sandbox() as sandbox:
        place = write_declaration(sandbox.defs_folder_path, name, text).parent
        with sandbox.load_component_and_build_defs(defs_path=place) as (loaded, alone):
            assert type(loaded).__name__ == component.__name__
            prefix = f"{name}/" if component is Campaign else f"raw/{name}/"
            wanted = {key for key in keys(definitions) if key.startswith(prefix)}
            assert {key for key in keys(alone) if key.startswith(prefix)} == wanted


def test_a_scope_that_names_no_campaign_is_refused(environment: Environment) -> None:
    with pytest.raises(DeclarationError, match="PLATFORM_SCOPE=campaign:typo"):
        build_definitions(replace(environment, scope=Scope(frozenset({"typo"}))))


PIN, OTHER = "ab" * 20, "cd" * 20


@pytest.fixture
def pinned(environment: Environment) -> Environment:
    """Two campaigns, of which `fixed` is pinned to a commit."""
    fixed = f"{GOOD}  advanced: {{code: {{commit: {PIN}}}}}\n"
    return with_campaigns(environment, {"free": GOOD, "fixed": fixed})


def campaigns_in(loaded: dg.Definitions) -> set[str]:
    return {key.split("/")[0] for key in keys(loaded) if key.endswith("/promoted_model")}


def test_a_campaign_pinned_to_the_commit_at_hand_is_defined_like_any(pinned: Environment) -> None:
    assert campaigns_in(build_definitions(replace(pinned, commit=PIN))) == {"free", "fixed"}


@pytest.mark.parametrize(("commit", "said"), [(OTHER, OTHER), (None, "PLATFORM_COMMIT")])
def test_elsewhere_a_campaign_pinned_to_another_commit_is_refused_in_a_sentence(
    pinned: Environment, commit: str | None, said: str
) -> None:
    loaded = build_definitions(replace(pinned, commit=commit))
    assert campaigns_in(loaded) == {"free"}
    description = loaded.resolve_asset_graph().get(dg.AssetKey(["fixed", "definition"])).description
    assert description is not None
    assert f"fixed is pinned to {PIN}, and the code here is" in description
    assert said in description


def test_on_kubernetes_a_pinned_campaign_is_left_to_its_own_code_location(pinned: Environment) -> None:
    everything = replace(pinned, executor="kubernetes", commit=OTHER)
    assert campaigns_in(build_definitions(everything)) == {"free"}
    assert not any(key.startswith("fixed") for key in keys(build_definitions(everything)))
    alone = replace(pinned, executor="kubernetes", commit=PIN, scope=Scope(frozenset({"fixed"}), shared=False))
    own = build_definitions(alone)
    assert campaigns_in(own) == {"fixed"}
    made = own.resolve_asset_graph().executable_asset_keys
    assert {key.path[0] for key in made} == {"fixed"}
    assert set(jobs_in(own)) == {"train_fixed", "score_customer"}
    assert own.get_repository_def().sensor_defs == []


def test_no_asset_is_made_in_two_code_locations(pinned: Environment) -> None:
    deployed = build_definitions(replace(pinned, executor="kubernetes", commit=OTHER))
    alone = replace(pinned, executor="kubernetes", commit=PIN, scope=Scope(frozenset({"fixed"}), shared=False))
    of_deployed, of_pinned = (
        loaded.resolve_asset_graph().executable_asset_keys for loaded in (deployed, build_definitions(alone))
    )
    assert of_deployed & of_pinned == set()


def test_only_pods_in_google_cloud_wait_for_its_credentials(tmp_path: Path) -> None:
    local = local_environment(tmp_path)
    on_gcp = replace(local, name="gcp")
    in_pods = [replace(one, executor="kubernetes") for one in (local, replace(local, name="emulated"), on_gcp)]
    waits = [bool(io_manager_of(one).credentials_within) for one in (local, on_gcp, *in_pods)]
    assert waits == [False, False, False, False, True]
