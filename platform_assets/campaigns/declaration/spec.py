"""The campaign file: every field a person may write, what it means, and what it defaults to.

Belongs here: shapes, bounds and defaults that need nothing but the file itself. What needs the warehouse's columns,
the feature groups or the model families is checked in `check.py`.
"""

import difflib
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from platform_assets.campaigns.declaration.values import (
    Commit,
    Day,
    Duration,
    Holdout,
    Name,
    Parameters,
    Predicate,
    ProfileName,
    ScoreAt,
    Size,
    TeacherFile,
)
from platform_assets.environment import TimeZone
from platform_assets.foundation.documents.sentences import Owner, shown

COMPONENT_TYPE = "platform_assets.components.Campaign"
# Keeps every date that a campaign asks for one that calendars hold.
LONGEST_REACH = timedelta(days=100 * 365)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_of(*members: type[BaseModel], default: type[BaseModel] | None = None) -> Discriminator:
    """What tells the models of a union apart, their first field: the one that a file holds, or holds nearly.

    Each tag is its model's name in <>, which no key of a file is.
    """
    words = {next(iter(member.model_fields)): f"<{member.__name__}>" for member in members}
    otherwise = f"<{default.__name__}>" if default else None

    def meant(value: Any) -> str | None:
        if isinstance(value, BaseModel):
            return f"<{type(value).__name__}>"
        keys = [str(key) for key in value] if isinstance(value, dict) else []
        near = [match for key in keys for match in difflib.get_close_matches(key, words, n=1)]
        word = next((key for key in keys if key in words), next(iter(near), None))
        return words[word] if word else otherwise

    *others, last = words
    return Discriminator(meant, "no_variant", f"state one of `{'`, `'.join(others)}` and `{last}`")


class EventLabel(_Strict):
    """Positive: the person has at least one event in the mart from the as-of date on, within the horizon."""

    event: Name = Field(description="Event mart to look for, e.g. orders")
    within: Duration = Field(description="Horizon: how far after the as-of date to look, e.g. 90d")
    where: Predicate | None = Field(
        None, description="Which events count: a condition on the event mart's columns, e.g. amount >= 50"
    )


class AbsenceLabel(_Strict):
    """Positive: the person has no event in the mart from the as-of date on, within the horizon (who leaves)."""

    no_event: Name = Field(description="Event mart whose silence is the label, e.g. orders")
    within: Duration = Field(description="Horizon: how long the silence must last, e.g. 90d")
    where: Predicate | None = Field(
        None, description="Which events break the silence: a condition on the event mart's columns"
    )


class TeacherLabel(_Strict):
    """Labels from a file of columns (entity key, as_of, label), each row at an as-of instant of its own."""

    teacher: TeacherFile = Field(
        description="Teacher file (.csv or .parquet) below the teachers folder; as_of is a time with its zone or a date, label 0 or 1",
    )
    within: Duration = Field(
        description="Horizon the labels were made with: a row's label is known from as_of + within on"
    )
    immature: Literal["refuse", "set_aside"] = Field(
        "refuse",
        description="What to do with rows whose horizon the exports do not cover yet: refuse the file, or leave them out and count them",
    )
    negatives: Literal["given", "sample_population"] = Field(
        "given",
        description="Where negatives come from: the file, or a sample of the population at the positives' as-of times",
    )


class RelativeTraining(_Strict):
    """Snapshots counted back from the newest whose label is known at the scoring date."""

    snapshots: int = Field(2, ge=1, le=24, description="How many as-of dates to train on")
    every: Duration | None = Field(None, description="Distance between them (default: the horizon)")


class AbsoluteTraining(_Strict):
    """Snapshots named one by one."""

    as_of: tuple[Day, ...] = Field(
        min_length=1,
        max_length=48,
        description="As-of dates to train on; every label must be known at the scoring date",
    )

    @model_validator(mode="after")
    def _distinct(self) -> "AbsoluteTraining":
        if len(set(self.as_of)) != len(self.as_of):
            raise ValueError("as_of names a date twice")
        return self


Label = Annotated[
    Annotated[EventLabel, Tag("<EventLabel>")]
    | Annotated[AbsenceLabel, Tag("<AbsenceLabel>")]
    | Annotated[TeacherLabel, Tag("<TeacherLabel>")],
    _one_of(EventLabel, AbsenceLabel, TeacherLabel),
]
Training = Annotated[
    Annotated[RelativeTraining, Tag("<RelativeTraining>")] | Annotated[AbsoluteTraining, Tag("<AbsoluteTraining>")],
    _one_of(RelativeTraining, AbsoluteTraining, default=RelativeTraining),
]


class Audience(_Strict):
    """Whom to pick from the scored population."""

    top: Size | None = Field(
        None, description="The highest scores: a share of the eligible people (10%) or a number of them (5000)"
    )
    min_score: float | None = Field(None, gt=0, lt=1, description="Everyone whose calibrated score is at least this")
    exclude: tuple[Predicate, ...] = Field(
        (), description="Conditions on people; whoever meets one is scored but not eligible, and the row says why"
    )
    holdout: Holdout = Field(
        0.1, description="Share of the audience kept untreated for measurement, chosen by a hash of campaign and person"
    )

    @model_validator(mode="after")
    def _one_rule(self) -> "Audience":
        if (self.top is None) == (self.min_score is None):
            raise ValueError("state one of `top` and `min_score`")
        return self


class Schedule(_Strict):
    """When to train again."""

    every: Literal["day", "week", "month"] = Field(description="How often")
    timezone: TimeZone | None = Field(None, description="Time zone of the clock (default: the platform's)")


class FeatureSelection(_Strict):
    """Which of the groups' features a model may see."""

    drop: tuple[Name, ...] = Field((), description="Features left out, by name")
    drop_ageing: Literal["auto", True, False] = Field(
        "auto",
        description="Leave out features that only grow with the calendar, such as tenure: `true`, `false`, or `auto`, where past "
        "dates come out better without them",
    )
    method: Literal["all", "top_gain", "permutation", "correlated"] = Field(
        "all",
        description="What each fold's models see of the rest, chosen from the fold's own training rows: all of them; the `keep` "
        "with the most LightGBM gain; those that gain more than from permuted labels; of features that rank people alike only "
        "the best",
    )
    keep: int = Field(50, ge=1, description="How many features `top_gain` keeps")


class Resources(_Strict):
    """What the pods of a campaign's steps may ask of the cluster; nothing where steps have no pods."""

    profile: ProfileName = Field(
        "cpu",
        description="Resource profile of its model folds; other steps, and folds with no use for a GPU, take the profile "
        "that this one names for them",
    )
    spot: bool = Field(
        True,
        description="Whether its pods may run on machines that can be taken away; what they have made by then is kept",
    )


class Code(_Strict):
    """Which code answers."""

    commit: Commit = Field(
        description="Git commit, 40 hex digits: the campaign is defined by a code location of that commit alone",
    )


def _trees_and_a_network() -> "dict[str, Parameters]":
    return {"lightgbm": {}, "network": {}}


def _auto_or_models(value: Any) -> Any:
    if value == "auto" or (isinstance(value, dict) and value):
        return value
    raise ValueError(f"{shown(value)} is neither `auto` nor models by name, such as {{lightgbm: {{}}}}")


class Advanced(_Strict):
    """For those who know why."""

    models: Annotated[
        Literal["auto"] | Annotated[dict[Name, Parameters], Field(min_length=1)], BeforeValidator(_auto_or_models)
    ] = Field(
        default_factory=_trees_and_a_network,
        description="`auto`: what is worth trying on such a table. Or models by name: parameters that differ from the defaults of "
        "the family of that name; under another name, `family` says which",
    )
    cpu_seconds: int = Field(
        600,
        ge=1,
        description="CPU-seconds that fitting all models may take, shared out among them; who runs out stops early and says so",
    )
    refit: bool = Field(
        False,
        description="Fit every model that counts once more on all rows and predict with that one instead of one a fold: cheaper "
        "to score with",
    )
    feature_selection: FeatureSelection = Field(FeatureSelection(), description="Features that models do not see")
    past_campaigns: bool = Field(
        True,
        description="Whether models may look at what earlier campaigns about the same people know: scores and labels of models "
        "promoted before",
    )
    folds: int = Field(5, ge=2, le=20, description="Cross-validation folds, grouped by person")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of folds, models and samples")
    resources: Resources = Field(
        default_factory=Resources, description="Resource profile of its pods: its name, or {profile, spot}"
    )
    deadline: Day | None = Field(
        None, description="Day by which the answer is needed: the nearer, the sooner its runs and steps get their turn"
    )
    code: Code | None = Field(None, description="Pin to a commit (default: the code that is deployed)")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("resources"), str):
            return {**data, "resources": {"profile": data["resources"]}}
        return data


def _all_or_groups(value: Any) -> Any:
    if value == "all" or isinstance(value, list | tuple):
        return value
    raise ValueError(f"{shown(value)} is neither `all` nor a list of feature groups, such as [order_windows]")


def _short_schedule(value: Any) -> Any:
    words = {"daily": "day", "weekly": "week", "monthly": "month"}
    if isinstance(value, str):
        if value not in words:
            raise ValueError(f"{shown(value)} is not daily, weekly, monthly or a mapping such as {{every: week}}")
        return {"every": words[value]}
    return value


class CampaignSpec(_Strict):
    """One question about people, and what to do with the answer."""

    version: Literal[1] = Field(1, description="Version of this file format")
    owner: Owner = Field(description="Who answers for it: an e-mail address or team:<name>")
    description: str = Field(min_length=8, max_length=300, description="The question, in a sentence")
    entity: Name = Field(description="Whom it is about: an entity the marts declare, e.g. customer")
    label: Label = Field(description="What is predicted: an event, its absence, or a teacher file")
    population: Predicate | None = Field(
        None,
        description="Who is asked about (default: everyone the entity's population holds): a condition on people as of the date, "
        "e.g. days_since(orders) > 90 and count(orders, 365) >= 2",
    )
    score_at: ScoreAt = Field(
        "latest",
        description="As-of date to train up to and score at: the sources' watermark in the business time zone, or a date",
    )
    train: Training | None = Field(
        None,
        description="As-of dates to train on (default: 2 snapshots, one horizon apart; a teacher file brings its own)",
    )
    features: Annotated[Literal["all"] | tuple[Name, ...], BeforeValidator(_all_or_groups)] = Field(
        "all", description="Feature groups to use"
    )
    value: float | None = Field(
        None, gt=0, description="What a positive is worth, in money; without it expected value stays empty"
    )
    audience: Audience = Field(description="Whom to pick")
    schedule: Annotated[Schedule | None, BeforeValidator(_short_schedule)] = Field(
        None, description="When to train again: daily, weekly, monthly, or {every, timezone}"
    )
    advanced: Advanced = Field(
        default_factory=Advanced, description="Models, feature selection, folds, seed, resources, deadline, code"
    )

    @model_validator(mode="after")
    def _teacher_brings_its_dates(self) -> "CampaignSpec":
        if isinstance(self.label, TeacherLabel) and self.train is not None:
            raise ValueError("a teacher file brings its own as-of dates; leave out `train`")
        return self

    @model_validator(mode="after")
    def _within_reach(self) -> "CampaignSpec":
        train = self.train if isinstance(self.train, RelativeTraining) else RelativeTraining(snapshots=2, every=None)
        days = (self.horizon + (train.snapshots - 1) * (train.every or self.horizon)).days
        if days > LONGEST_REACH.days:
            raise ValueError(
                f"its training dates reach {days:,} days back, and no export does; shorten `label.within` or `train`"
            )
        return self

    @property
    def horizon(self) -> timedelta:
        return self.label.within

    def resolved(self) -> dict[str, Any]:
        """The whole specification with defaults filled in, as plain JSON."""
        return self.model_dump(mode="json")


def by_entity(campaigns: Mapping[str, CampaignSpec]) -> dict[str, dict[str, CampaignSpec]]:
    """The campaigns about each entity, by name; both in order."""
    entities = sorted({spec.entity for spec in campaigns.values()})
    return {
        entity: {name: spec for name, spec in sorted(campaigns.items()) if spec.entity == entity} for entity in entities
    }


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a campaign file, for editors."""
    attributes = CampaignSpec.model_json_schema()
    definitions = attributes.pop("$defs", {})
    attributes["properties"]["schedule"]["anyOf"].append({"enum": ["daily", "weekly", "monthly"]})
    resources = definitions["Advanced"]["properties"]["resources"]
    resources["anyOf"] = [{"$ref": resources.pop("$ref")}, {"type": "string"}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Campaign file",
        "type": "object",
        "required": ["type", "attributes"],
        "additionalProperties": False,
        "properties": {"type": {"const": COMPONENT_TYPE}, "attributes": attributes},
        "$defs": definitions,
    }
