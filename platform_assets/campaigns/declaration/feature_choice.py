"""Which of an entity's features a campaign's models see. Kept apart from the checks: training sets depend on it."""

from collections.abc import Collection, Iterable

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.data.features.registry import GROUPS


def chosen_groups(spec: CampaignSpec) -> tuple[str, ...]:
    """Names of the feature groups a campaign uses, sorted."""
    return tuple(sorted(GROUPS[spec.entity] if spec.features == "all" else spec.features))


def feature_names(spec: CampaignSpec) -> tuple[str, ...]:
    """The features a campaign's models see, or may see (`may_be_left_out`), in the order of groups and of features in them."""
    selection = spec.advanced.feature_selection
    return tuple(
        name
        for group in chosen_groups(spec)
        for name, feature in GROUPS[spec.entity][group].features.items()
        if name not in selection.drop and not (selection.drop_ageing is True and feature.ageing)
    )


def may_be_left_out(spec: CampaignSpec, names: Iterable[str], found: Collection[str]) -> tuple[str, ...]:
    """Of the features `names`, those that past dates are to judge: declared as ageing, or found to be."""
    if spec.advanced.feature_selection.drop_ageing != "auto":
        return ()
    features = {
        name: feature for group in chosen_groups(spec) for name, feature in GROUPS[spec.entity][group].features.items()
    }
    return tuple(name for name in names if features[name].ageing or name in found)
