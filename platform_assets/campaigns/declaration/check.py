"""A campaign file against what the platform holds: entities, marts and columns, feature groups, model families.

Belongs here: checks that need declarations only. Checks that need data (how many positives, unknown ids in a teacher
file) run where the data is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from platform_assets.campaigns.declaration.families import FAMILY, families_of
from platform_assets.campaigns.declaration.feature_choice import feature_names
from platform_assets.campaigns.declaration.spec import CampaignSpec, TeacherLabel
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.conditions.parsing import parse_event_condition, parse_person_condition
from platform_assets.data.conditions.terms import PredicateError
from platform_assets.data.features.holdings import Holdings
from platform_assets.foundation.dagster_internals.core import DISALLOWED_NAMES
from platform_assets.foundation.documents.sentences import did_you_mean
from platform_assets.foundation.execution.profiles import Profiles

# A model's name is that of an input of the ensemble's step.
TAKEN_NAMES = DISALLOWED_NAMES | {"training_set"}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a campaign file.

    Attributes:
        path: keys from the file's `attributes` down to the field.
        message: what is wrong and what would be right.
    """

    path: tuple[str | int, ...]
    message: str


def problems_of(spec: CampaignSpec, holdings: Holdings, profiles: Profiles) -> list[Problem]:
    """Everything about `spec` that this platform cannot honour; empty when there is nothing."""
    catalog = holdings.catalog
    if spec.entity not in catalog.entities:
        return [Problem(("entity",), f"there is no entity {spec.entity}{did_you_mean(spec.entity, catalog.entities)}")]
    return [
        *_label_problems(spec, catalog),
        *_condition_problems(spec, catalog),
        *_feature_problems(spec, holdings),
        *_model_problems(spec),
        *_resource_problems(spec, profiles),
    ]


def _label_problems(spec: CampaignSpec, catalog: Catalog) -> Iterator[Problem]:
    if isinstance(spec.label, TeacherLabel):
        return
    field = "event" if hasattr(spec.label, "event") else "no_event"
    name = getattr(spec.label, field)
    events = [mart.name for mart in catalog.marts.values() if mart.kind == "event" and mart.entity == spec.entity]
    if name not in events:
        yield Problem(("label", field), f"{spec.entity} has no events called {name}{did_you_mean(name, events)}")
    elif spec.label.where is not None:
        try:
            parse_event_condition(spec.label.where, catalog.marts[name], catalog.entities[spec.entity].timezone)
        except PredicateError as error:
            yield Problem(("label", "where"), str(error))


def _condition_problems(spec: CampaignSpec, catalog: Catalog) -> Iterator[Problem]:
    conditions: list[tuple[tuple[str | int, ...], str]] = []
    if spec.population is not None:
        conditions.append((("population",), spec.population))
    conditions += [(("audience", "exclude", index), text) for index, text in enumerate(spec.audience.exclude)]
    for path, text in conditions:
        try:
            parse_person_condition(text, catalog, spec.entity)
        except PredicateError as error:
            yield Problem(path, str(error))


def _feature_problems(spec: CampaignSpec, holdings: Holdings) -> Iterator[Problem]:
    if why := holdings.why_no_groups(spec.entity):
        yield Problem(("entity",), f"{spec.entity} has no features until its file can be honoured: {why}")
        return
    groups = holdings.groups.get(spec.entity, {})
    if not groups:
        yield Problem(
            ("entity",),
            f"there are no feature groups for {spec.entity}; add one to the folder features of the project",
        )
    chosen = list(groups) if spec.features == "all" else list(spec.features)
    for index, name in enumerate(chosen):
        if name not in groups:
            yield Problem(
                ("features", index), f"there is no feature group {name} for {spec.entity}{did_you_mean(name, groups)}"
            )
    offered = [feature for name in chosen if name in groups for feature in groups[name].features]
    for index, name in enumerate(spec.advanced.feature_selection.drop):
        if name not in offered:
            path = ("advanced", "feature_selection", "drop", index)
            yield Problem(path, f"there is no feature {name} in the chosen groups{did_you_mean(name, offered)}")
    if offered and set(chosen) <= set(groups) and not feature_names(spec, holdings.groups):
        yield Problem(("advanced", "feature_selection"), "no feature is left")


def _model_problems(spec: CampaignSpec) -> Iterator[Problem]:
    from platform_assets.learning.families.registry import FAMILIES, UnknownParameter, WrongParameter, check_parameters

    models = {} if spec.advanced.models == "auto" else spec.advanced.models
    for member, parameters in models.items():
        family = families_of(spec)[member]
        path: tuple[str, ...] = ("advanced", "models", member)
        if member in TAKEN_NAMES:
            yield Problem(
                path, f"a model cannot be called {member}: that is a word of the platform's; add _model to it"
            )
            continue
        if family not in FAMILIES:
            where = (*path, FAMILY) if FAMILY in parameters else path
            yield Problem(where, f"there is no model family {family}{did_you_mean(family, FAMILIES)}")
            continue
        for name, value in parameters.items():
            if name == FAMILY:
                continue
            try:
                check_parameters(family, {name: value})
            except (UnknownParameter, WrongParameter) as error:
                yield Problem((*path, name), str(error))


def _resource_problems(spec: CampaignSpec, profiles: Profiles) -> Iterator[Problem]:
    profile = spec.advanced.resources.profile
    if profile not in profiles:
        # A short form is a single key in the file, which is where its line is.
        yield Problem(
            ("advanced", "resources"), f"there is no resource profile {profile}{did_you_mean(profile, profiles)}"
        )
