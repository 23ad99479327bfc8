"""Which pods a campaign's steps get: its resource profile as the tags of its steps.

Every step bears its campaign and its deadline, wherever it runs: the run coordinator reads them, and that its code location
holds nothing shared. Profile and pool are there only where steps have pods.
"""

from collections.abc import Mapping
from typing import Any

from platform_assets.campaigns.declaration.families import families_of
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.environment import Environment
from platform_assets.foundation.execution.profiles import Profiles
from platform_assets.foundation.execution.run_tags import ALONE_TAG, CAMPAIGN_TAG, DEADLINE_TAG, PRIORITY_TAG

CAMPAIGN_LABEL = "platform-assets/campaign"


def step_tags(name: str, spec: CampaignSpec, environment: Environment, profiles: Profiles) -> dict[str, str]:
    """The tags of a step of one campaign that has no use for a GPU."""
    return shared_step_tags({name: spec}, environment, profiles)


def shared_step_tags(
    campaigns: Mapping[str, CampaignSpec], environment: Environment, profiles: Profiles
) -> dict[str, str]:
    """The tags of a step that serves several campaigns: the nearest deadline and the largest profile of theirs.

    It may run on spot machines only when all of them allow it.
    """
    stated = {spec.advanced.resources.profile for spec in campaigns.values()}
    wanted = {profiles[profile].without_gpu or profile for profile in stated}
    profile = [name for name in profiles if name in wanted][-1]
    spot = all(spec.advanced.resources.spot for spec in campaigns.values())
    return _identity(campaigns, environment) | _pod(campaigns, profile, spot, environment, profiles)


def needs_gpu(spec: CampaignSpec, model: str, profiles: Profiles) -> bool:
    """Whether folds of a model are to run on a GPU: its family has a use for one, and its parameters do not say `device: cpu`."""
    from platform_assets.learning.families.registry import ON_GPU

    models = spec.advanced.models
    on_cpu = models != "auto" and models[model].get("device") == "cpu"
    return families_of(spec)[model] in ON_GPU and not on_cpu and profiles[spec.advanced.resources.profile].gpus > 0


def fold_settings(
    name: str, spec: CampaignSpec, model: str, fold: int, environment: Environment, profiles: Profiles
) -> dict[str, Any]:
    """The tags of a model's fold and the pool in which it waits for a GPU, as arguments of its op."""
    if not needs_gpu(spec, model, profiles) or environment.executor != "kubernetes":
        return {"tags": step_tags(name, spec, environment, profiles)}
    one, profile = {name: spec}, spec.advanced.resources.profile
    tags = _identity(one, environment) | _pod(one, profile, spec.advanced.resources.spot, environment, profiles)
    # Within a pool the highest priority goes first, so campaigns of equal deadline take turns, fold by fold.
    return {"tags": tags | {PRIORITY_TAG: str(-fold)}, "pool": profiles[profile].pool}


def _identity(campaigns: Mapping[str, CampaignSpec], environment: Environment) -> dict[str, str]:
    deadlines = [spec.advanced.deadline for spec in campaigns.values() if spec.advanced.deadline]
    tags = {CAMPAIGN_TAG: ",".join(sorted(campaigns))} | ({} if environment.scope.shared else {ALONE_TAG: "true"})
    return tags | ({DEADLINE_TAG: min(deadlines).isoformat()} if deadlines else {})


def _pod(
    campaigns: Mapping[str, CampaignSpec], profile: str, spot: bool, environment: Environment, profiles: Profiles
) -> dict[str, str]:
    if environment.executor != "kubernetes":
        return {}
    labels = {CAMPAIGN_LABEL: next(iter(campaigns))} if len(campaigns) == 1 else {}
    return profiles[profile].tags(profile, spot, labels)
