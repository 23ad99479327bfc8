"""Running pieces of a campaign as Dagster runs them, in a folder of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from platform_assets.campaigns.assets import campaign_assets
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.environment import Environment, local_environment
from platform_assets.foundation.artifacts.io_manager import ArtifactRefIOManager
from platform_assets.foundation.execution.profiles import read_profiles
from tests.campaigns.worlds import Workshop
from tests.data.features.conftest import HOLDINGS

PROFILES = read_profiles(local_environment(Path("anywhere")).profiles)


def environment_of(workshop: Workshop) -> Environment:
    return local_environment(workshop.folder)


def run_training(
    workshop: Workshop, name: str, spec: CampaignSpec, only: Sequence[str] = ("*",), score_at: str | None = None
) -> dg.ExecuteInProcessResult:
    """Materialise some of a campaign's assets (`training_set`, `models/…`, `ensemble`, `promoted_model`)."""
    selection = ["*"] if "*" in only else [f'key:"{name}/{step}"' for step in only]
    replay = {"ops": {f"{name}__training_set": {"config": {"score_at": score_at}}}}
    config = replay if score_at is not None and {"*", "training_set"} & set(only) else None
    return run(workshop, campaign_assets(name, spec, environment_of(workshop), HOLDINGS, PROFILES), selection, config)


def run(
    workshop: Workshop,
    assets: Sequence[dg.AssetsDefinition],
    selection: Sequence[str] = ("*",),
    config: Mapping[str, Any] | None = None,
    partition: str | None = None,
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        assets,
        selection=" or ".join(selection),
        run_config=dict(config or {}),
        partition_key=partition,
        instance=dg.DagsterInstance.ephemeral(),
        resources={"io_manager": ArtifactRefIOManager(root=str(environment_of(workshop).refs))},
        raise_on_error=False,
    )


def failures_of(result: dg.ExecuteInProcessResult) -> list[str]:
    """What the steps that failed by themselves tell a person."""
    failed = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return [
        (data.user_failure_data.description if data.user_failure_data else None) or f"UNTOLD {data.error}"
        for data in failed
    ]


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, Mapping[str, Any]]:
    """Asset → the metadata of its materialisation, as plain values."""
    made = [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    return {one.asset_key.to_user_string(): {name: item.value for name, item in one.metadata.items()} for one in made}
