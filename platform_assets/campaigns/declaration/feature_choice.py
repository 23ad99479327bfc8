"""Which of an entity's features a campaign's models see. Kept apart from the checks: training sets depend on it."""

from collections.abc import Collection, Iterable

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.data.features.group import Feature, FeatureGroup
from platform_assets.data.features.holdings import Groups


def chosen_groups(spec: CampaignSpec, groups: Groups) -> dict[str, FeatureGroup]:
    """The feature groups a campaign uses, by name, sorted."""
    own = groups[spec.entity]
    return {name: own[name] for name in sorted(own if spec.features == "all" else spec.features)}


def offered_features(spec: CampaignSpec, groups: Groups) -> dict[str, Feature]:
    """Every feature of a campaign's groups, by name, in the order of groups and of features in them."""
    return {name: feature for group in chosen_groups(spec, groups).values() for name, feature in group.features.items()}


def feature_names(spec: CampaignSpec, groups: Groups) -> tuple[str, ...]:
    """The features a campaign's models see, or may see (`may_be_left_out`), in the order of groups and of features in them."""
    selection = spec.advanced.feature_selection
    return tuple(
        name
        for name, feature in offered_features(spec, groups).items()
        if name not in selection.drop and not (selection.drop_ageing is True and feature.ageing)
    )


def may_be_left_out(
    spec: CampaignSpec, names: Iterable[str], found: Collection[str], groups: Groups
) -> tuple[str, ...]:
    """Of the features `names`, those that past dates are to judge: declared as ageing, or found to be."""
    if spec.advanced.feature_selection.drop_ageing != "auto":
        return ()
    features = offered_features(spec, groups)
    return tuple(name for name in names if features[name].ageing or name in found)
