"""Every asset there is, run where there is nothing: it is made, or fails with a sentence for people."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.data.raw.usable_exports import NAME as USABLE
from platform_assets.environment import Environment, local_environment
from tests.support.running import Platform, failures_of
from tests.support.small_exports import write_empty_exports

pytestmark = pytest.mark.slow

# What fails where there is nobody, and the words that say why; every other asset is made.
POSITIVES = {"repeat_buyers": "0 positives", "winback": "0 positives", "scifi_fans": "scifi_fans.csv"}
NEED_A_MODEL = ("models/lightgbm", "models/network", "ensemble", "promoted_model", "audience", "report")
AS_OF = {"customer": "1998-07-01", "viewer": "1998-04-23"}
FAILS = {
    **{f"{campaign}/training_set": words for campaign, words in POSITIVES.items()},
    **{f"{campaign}/{step}": "has not been materialised yet" for campaign in POSITIVES for step in NEED_A_MODEL},
    **{f"{campaign}/scores": "it has no promoted model" for campaign in POSITIVES},
    **{f"bodies/{entity}": f"no campaign of {entity} is promoted yet" for entity in AS_OF},
}


@pytest.fixture(scope="module")
def empty_platform(tmp_path_factory: pytest.TempPathFactory, dbt_project: object) -> Iterator[Platform]:
    environment: Environment = local_environment(tmp_path_factory.mktemp("empty"), dbt_project=dbt_project)
    write_empty_exports(environment)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform.of(environment, instance)


def test_every_asset_on_empty_tables_is_made_or_fails_with_a_sentence(empty_platform: Platform) -> None:
    refreshed = empty_platform.run("refresh_marts")
    assert refreshed.success, failures_of(refreshed)
    graph = empty_platform.definitions.resolve_asset_graph()
    shared = {event.materialization.asset_key for event in refreshed.get_asset_materialization_events()}
    made, failed = {key.to_user_string() for key in shared}, {}
    for key in graph.toposorted_asset_keys:
        if key in shared:
            continue
        name = key.to_user_string()
        entity = "viewer" if "viewer" in name or name.startswith("scifi_fans/") else "customer"
        how = {"partition_key": AS_OF[entity]} if graph.get(key).partitions_def else {}
        result = empty_platform.materialize(name, **how)
        if result.success:
            made.add(name)
        else:
            failed[name] = "\n".join(failures_of(result).values())
    print(f"\nmade: {len(made)}; failed with a sentence:", *(f"\n  {n}: {s}" for n, s in sorted(failed.items())))
    everything = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert made == everything - set(FAILS)
    assert {name for name in FAILS if FAILS[name] not in failed.get(name, "")} == set()


def test_nothing_is_published_for_people_from_empty_tables(empty_platform: Platform) -> None:
    assert not list(Path(empty_platform.environment.audiences).glob("**/*"))


def test_every_asset_without_any_export_fails_with_a_sentence(environment: Environment) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform.of(environment, instance)
        graph = platform.definitions.resolve_asset_graph()
        for key in graph.toposorted_asset_keys:
            how = {"partition_key": AS_OF["viewer"]} if graph.get(key).partitions_def else {}
            result = platform.materialize(key.to_user_string(), **how)
            unusable = (check for check in result.get_asset_check_evaluations() if check.check_name == USABLE)
            sentences = [
                *failures_of(result).values(),
                *(str(check.description) for check in unusable if not check.passed),
            ]
            assert sentences, f"{key} did not fail, and no check of it"
            assert all(len(sentence) > 20 for sentence in sentences), key
