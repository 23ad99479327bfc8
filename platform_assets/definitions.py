"""The one composition root: everything Dagster shows is put together here.

Belongs here: reading what people declared and calling each room's `assets.py`. Does not belong here: any work, and
anything heavy; torch, lightgbm, great_expectations and cloud clients load only inside the steps that use them.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg

from platform_assets.campaigns.training.body_assets import body_assets
from platform_assets.components.campaign import Campaign, scores_of
from platform_assets.components.code_references import with_code_references
from platform_assets.components.export_source import ExportSource
from platform_assets.components.loading import Declarations, broken_definitions, read_declarations
from platform_assets.components.platform import Platform, platform_of
from platform_assets.components.saas_source import SaasSource
from platform_assets.data.features.assets import feature_assets
from platform_assets.data.fetching.spec import SaasExportsSpec
from platform_assets.data.marts.assets import transform_assets
from platform_assets.environment import Environment, environment_from_variables
from platform_assets.foundation.artifacts.io_manager import ArtifactRefIOManager
from platform_assets.foundation.execution.executor import kubernetes_executor
from platform_assets.foundation.storage.credentials import LIMIT_SECONDS
from platform_assets.operations.automation.jobs import campaign_job, pretraining_jobs, refresh_job, scoring_jobs
from platform_assets.operations.automation.requests import request_schedules, requested_sensors
from platform_assets.operations.automation.schedules import (
    campaign_schedules,
    fetching_schedules,
    pretraining_schedules,
    scoring_schedules,
)
from platform_assets.operations.automation.sensors import new_exports_sensor

# Outputs carry data versions and assets code references, which Dagster still calls beta or a preview; the version is pinned,
# and the warnings bury what matters.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)


def build_definitions(environment: Environment, resources: dict[str, Any] | None = None) -> dg.Definitions:
    """All definitions in an environment.

    Args:
        environment: where to run and what to load.
        resources: replace the resources of the same name.

    Raises:
        ManifestMissing, CatalogError, GroupRefused, DeclarationError, ProfileError: something everything stands on is missing or broken; the
            message says what to do.
    """
    platform = platform_of(environment)
    declarations = read_declarations(platform)
    campaigns = sorted(declarations.campaigns.items())
    own = dg.Definitions(
        assets=scores_of(declarations.campaigns, platform),
        jobs=[*scoring_jobs(declarations.campaigns), *(campaign_job(*item) for item in campaigns)],
        schedules=[
            *scoring_schedules(declarations.campaigns, environment, platform.holdings, platform.as_of),
            *(schedule for item in campaigns for schedule in campaign_schedules(*item, environment)),
        ],
        executor=_executor(environment),
        # Named, so that a run's configuration can set its level.
        loggers={"console": dg.colored_console_logger},
        resources={"io_manager": io_manager_of(environment)} | (resources or {}),
    )
    merged = dg.Definitions.merge(
        own,
        *(_shared(declarations, platform) if environment.scope.shared else ()),
        *(Campaign(name, spec).definitions(platform) for name, spec in campaigns),
        broken_definitions(declarations),
    )
    return with_code_references(merged, declarations, platform)


def _shared(declarations: Declarations, platform: Platform) -> Iterator[dg.Definitions]:
    """What one code location of a deployment holds, because an asset may be made in one alone: exports to marts, what keeps
    them up to date, features, bodies over all campaigns."""
    environment = platform.environment
    yield dg.Definitions(
        assets=[
            transform_assets(environment, declarations.sources),
            *feature_assets(environment, platform.catalog, platform.as_of, platform.groups),
            *body_assets(environment, platform.groups),
        ],
        jobs=[refresh_job(), *pretraining_jobs(platform.groups)],
        schedules=[
            *pretraining_schedules(platform.groups, environment.timezone),
            *fetching_schedules(declarations.sources, environment),
            *request_schedules(declarations.sources, environment),
        ],
        sensors=[
            new_exports_sensor(declarations.sources, environment),
            *requested_sensors(declarations.sources, environment),
        ],
    )
    for name, spec in declarations.sources.items():
        component = SaasSource(name, spec.saas) if isinstance(spec, SaasExportsSpec) else ExportSource(name, spec)
        yield component.definitions(platform)


def io_manager_of(environment: Environment) -> ArtifactRefIOManager:
    """What carries references between the steps of an environment."""
    # Elsewhere credentials are there from the start, or somebody sits before the screen.
    in_new_pods = environment.name == "gcp" and environment.executor == "kubernetes"
    return ArtifactRefIOManager(root=str(environment.refs), credentials_within=LIMIT_SECONDS if in_new_pods else 0.0)


def _executor(environment: Environment) -> dg.ExecutorDefinition:
    if environment.executor == "kubernetes":
        return kubernetes_executor(environment.scope.text, environment.commit)
    return dg.in_process_executor


@dg.definitions
def defs() -> dg.Definitions:
    """What `-m platform_assets.definitions` loads."""
    return build_definitions(environment_from_variables())
