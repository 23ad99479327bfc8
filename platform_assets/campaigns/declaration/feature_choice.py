"""Which of an entity's features a campaign's models see. Kept apart from the checks: training sets depend on it."""

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.data.features.registry import GROUPS


def chosen_groups(spec: CampaignSpec) -> tuple[str, ...]:
    """Names of the feature groups a campaign uses, sorted."""
    return tuple(sorted(GROUPS[spec.entity] if spec.features == "all" else spec.features))


def feature_names(spec: CampaignSpec) -> tuple[str, ...]:
    """The features a campaign's models see, in the order of groups and of features in them."""
    selection = spec.advanced.feature_selection
    return tuple(
        name
        for group in chosen_groups(spec)
        for name, feature in GROUPS[spec.entity][group].features.items()
        if name not in selection.drop and not (selection.drop_ageing and feature.ageing)
    )
