"""The columns of what a campaign is made of and makes, for Dagster's pages: types, and from which columns of what they are made.

Belongs here: names and types. Does not belong here: any table or value.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import dagster as dg

from platform_assets.campaigns.declaration.feature_choice import chosen_groups, feature_names
from platform_assets.campaigns.declaration.spec import CampaignSpec, EventLabel, TeacherLabel
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.conditions.parsing import parse_event_condition, parse_person_condition
from platform_assets.data.features.holdings import Holdings

SCHEMA, LINEAGE = "dagster/column_schema", "dagster/column_lineage"
AS_OF = "as_of"
# Of the audience, the person's key apart.
_AUDIENCE = {
    AS_OF: "timestamp",
    "horizon_days": "bigint",
    "score": "double",
    "rank": "bigint",
    "decile": "bigint",
    "expected_value": "double",
    "reasons": "varchar",
    "eligible": "boolean",
    "why_not": "varchar",
    "selected": "boolean",
    "arm": "varchar",
    "model_version": "varchar",
    "config_hash": "varchar",
}
_BY_EXCLUSIONS = ("eligible", "why_not", "selected", "arm")
Past = Mapping[str, Sequence[str]]
NO_PAST: Past = MappingProxyType({})
_FROM_SCORES = {
    AS_OF: AS_OF,
    **dict.fromkeys(("score", "rank", "decile", "expected_value", "selected", "arm"), "score"),
}


def training_schema(spec: CampaignSpec, holdings: Holdings, past: Past = NO_PAST) -> dg.TableSchema:
    """A training set's columns.

    Args:
        past: columns with scores of earlier campaigns → the features that their models look at.
    """
    features = dict.fromkeys((*feature_names(spec, holdings.groups), *past), "double")
    return _schema(spec, holdings, {AS_OF: "timestamp", "label": "bigint", "fold": "bigint", **features})


def training_lineage(spec: CampaignSpec, holdings: Holdings, past: Past = NO_PAST) -> dg.TableColumnLineage:
    """The training set's person, instant and features, each from its feature group; its label from the mart that tells it.

    Args:
        past: as for `training_schema`.
    """
    person, of_label = _person(spec, holdings), _of_label(spec, holdings.catalog)
    return dg.TableColumnLineage(
        {
            **person,
            **({"label": of_label} if of_label else {}),
            "fold": person[holdings.catalog.entity(spec.entity).key],
            **_of_features(spec, holdings),
            **{column: _from_any_group(names, spec, holdings) for column, names in past.items()},
        }
    )


def scores_schema(spec: CampaignSpec, holdings: Holdings) -> dg.TableSchema:
    return _schema(spec, holdings, {AS_OF: "timestamp", "score": "double"})


def scores_lineage(spec: CampaignSpec, holdings: Holdings) -> dg.TableColumnLineage:
    """A score from every feature that the campaign's models may see."""
    features = [dep for deps in _of_features(spec, holdings).values() for dep in deps]
    return dg.TableColumnLineage({**_person(spec, holdings), "score": features})


def audience_schema(spec: CampaignSpec, holdings: Holdings) -> dg.TableSchema:
    return _schema(spec, holdings, _AUDIENCE)


def audience_lineage(name: str, spec: CampaignSpec, holdings: Holdings) -> dg.TableColumnLineage:
    """An audience's columns from the scores; its reasons from the features, and who is left out from what exclusions look at."""
    scores, key = dg.AssetKey([name, "scores"]), holdings.catalog.entity(spec.entity).key
    features = [dep for deps in _of_features(spec, holdings).values() for dep in deps]
    excluded = _of_exclusions(spec, holdings.catalog)
    made_of = {column: [dg.TableColumnDep(scores, of)] for column, of in {key: key, **_FROM_SCORES}.items()}
    if excluded:
        made_of |= {column: [*made_of.get(column, []), *excluded] for column in _BY_EXCLUSIONS}
    return dg.TableColumnLineage({**made_of, "reasons": features})


def _of_label(spec: CampaignSpec, catalog: Catalog) -> list[dg.TableColumnDep]:
    """The columns that say whether an event counts; none of a teacher file, which is no asset."""
    label = spec.label
    if isinstance(label, TeacherLabel):
        return []
    mart = catalog.mart(label.event if isinstance(label, EventLabel) else label.no_event)
    columns = {mart.key, mart.event_time}
    if label.where is not None:
        columns |= parse_event_condition(label.where, mart, catalog.entity(spec.entity).timezone).columns
    return _deps((mart.name, column) for column in columns)


def _of_exclusions(spec: CampaignSpec, catalog: Catalog) -> list[dg.TableColumnDep]:
    columns: set[tuple[str, str | None]] = set()
    for text in spec.audience.exclude:
        condition = parse_person_condition(text, catalog, spec.entity)
        columns |= {(catalog.entity(spec.entity).mart, column) for column in condition.columns}
        for aggregate in condition.aggregates:
            mart = catalog.mart(aggregate.mart)
            counted = mart.key if aggregate.function == "count" else aggregate.column
            columns |= {(mart.name, counted), (mart.name, mart.event_time)}
    return _deps(columns)


def _deps(columns: Iterable[tuple[str, str | None]]) -> list[dg.TableColumnDep]:
    named = sorted((mart, column) for mart, column in columns if column is not None)
    return [dg.TableColumnDep(dg.AssetKey(["marts", mart]), column) for mart, column in named]


def _from_any_group(names: Iterable[str], spec: CampaignSpec, holdings: Holdings) -> list[dg.TableColumnDep]:
    """Features of the entity, the campaign's own or not, from their groups."""
    own = holdings.groups[spec.entity].values()
    of = {name: dg.AssetKey(group.key.split("/")) for group in own for name in group.features}
    return [dg.TableColumnDep(of[name], name) for name in names if name in of]


def _schema(spec: CampaignSpec, holdings: Holdings, columns: dict[str, str]) -> dg.TableSchema:
    entity = holdings.catalog.entity(spec.entity)
    typed = {entity.key: holdings.catalog.mart(entity.mart).columns[entity.key].data_type, **columns}
    return dg.TableSchema([dg.TableColumn(name, kind) for name, kind in typed.items()])


def _person(spec: CampaignSpec, holdings: Holdings) -> dict[str, list[dg.TableColumnDep]]:
    key = holdings.catalog.entity(spec.entity).key
    keys = [dg.AssetKey(group.key.split("/")) for group in chosen_groups(spec, holdings.groups).values()]
    return {column: [dg.TableColumnDep(of, column) for of in keys] for column in (key, AS_OF)}


def _of_features(spec: CampaignSpec, holdings: Holdings) -> dict[str, list[dg.TableColumnDep]]:
    seen = set(feature_names(spec, holdings.groups))
    return {
        name: [dg.TableColumnDep(dg.AssetKey(group.key.split("/")), name)]
        for group in chosen_groups(spec, holdings.groups).values()
        for name in group.features
        if name in seen
    }
