"""The columns of what a campaign is made of and makes, for Dagster's pages: types, and from which columns of what they are made.

Belongs here: names and types. Does not belong here: any table or value.
"""

import dagster as dg

from platform_assets.campaigns.declaration.feature_choice import chosen_groups, feature_names
from platform_assets.campaigns.declaration.spec import CampaignSpec
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
_FROM_SCORES = {
    AS_OF: AS_OF,
    **dict.fromkeys(("score", "rank", "decile", "expected_value", "selected", "arm"), "score"),
}


def training_lineage(spec: CampaignSpec, holdings: Holdings) -> dg.TableColumnLineage:
    """The training set's person, instant and features, each from its feature group."""
    return dg.TableColumnLineage({**_person(spec, holdings), **_of_features(spec, holdings)})


def scores_schema(spec: CampaignSpec, holdings: Holdings) -> dg.TableSchema:
    return _schema(spec, holdings, {AS_OF: "timestamp", "score": "double"})


def scores_lineage(spec: CampaignSpec, holdings: Holdings) -> dg.TableColumnLineage:
    """A score from every feature that the campaign's models may see."""
    features = [dep for deps in _of_features(spec, holdings).values() for dep in deps]
    return dg.TableColumnLineage({**_person(spec, holdings), "score": features})


def audience_schema(spec: CampaignSpec, holdings: Holdings) -> dg.TableSchema:
    return _schema(spec, holdings, _AUDIENCE)


def audience_lineage(name: str, spec: CampaignSpec, holdings: Holdings) -> dg.TableColumnLineage:
    """An audience's columns from the scores; its reasons from the features."""
    scores, key = dg.AssetKey([name, "scores"]), holdings.catalog.entity(spec.entity).key
    features = [dep for deps in _of_features(spec, holdings).values() for dep in deps]
    return dg.TableColumnLineage(
        {
            **{column: [dg.TableColumnDep(scores, of)] for column, of in {key: key, **_FROM_SCORES}.items()},
            "reasons": features,
        }
    )


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
