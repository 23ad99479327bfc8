"""What a source may declare."""

from datetime import timedelta
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.environment import REPOSITORY
from tests.data.exports.breaking import FILMS, SHOP

SOURCES = REPOSITORY / "defs" / "sources"
IN_S3 = {"from": "s3://exports"}
TABLES = {"region": "eu-central-1", "account": "123456789012"}
CLUSTER = {
    "region": "eu-central-1",
    "cluster": "shop-production",
    "export_role": "arn:aws:iam::123456789012:role/writes-exports",
    "kms_key": "alias/exports",
}


@pytest.mark.parametrize("name", ["shop", "movies"])
def test_the_declared_sources_are_valid(name: str) -> None:
    document = yaml.safe_load((SOURCES / name / "defs.yaml").read_text())
    assert document["type"] == "platform_assets.components.ExportSource"
    ExportSourceSpec(**document["attributes"])


@pytest.mark.parametrize(
    ("base", "changes", "sentence"),
    [
        (SHOP, {"retention": "30d"}, "Extra inputs are not permitted"),
        (SHOP, {"database": None}, "an aurora_snapshot source names its database"),
        (FILMS, {"database": "shop"}, "a dynamodb source has none"),
        (SHOP, {"owner": "someone"}, "is neither an e-mail address such as"),
        (SHOP, {"path": "../elsewhere"}, "below the exports root"),
        (FILMS, {"from": "gs://exports/films"}, "is no place in S3; write it as s3://bucket/prefix"),
        (FILMS, {"from": "s3://exports/films/"}, "without / at its end"),
        (FILMS, {"from": "s3://exports/../films"}, "is no place in S3"),
        (FILMS, {"from": "s3://Exports"}, "is no place in S3"),
        (FILMS, {"from": "s3://exports", "from_role": "AKIA0123456789"}, "is not the ARN of a role"),
        (FILMS, {"from_role": "arn:aws:iam::123456789012:role/reads"}, "there is no `from` that it would read"),
        (FILMS, {"request": TABLES}, "request: AWS writes the exports it is asked for to S3; say where in `from`"),
        (
            FILMS,
            IN_S3 | {"request": TABLES | {"every": "25h"}},
            "AWS takes no 25h for an incremental export; write from 15m",
        ),
        (
            FILMS,
            IN_S3 | {"request": TABLES | {"every": "14m"}},
            "AWS takes no 14m for an incremental export; write from 15m",
        ),
        (
            FILMS,
            IN_S3 | {"request": TABLES | {"every": "daily"}},
            "'daily' is no length of time; write a number and m, h or d",
        ),
        (
            FILMS,
            IN_S3 | {"request": TABLES | {"account": "1234"}},
            "'1234' is no account of AWS; write its twelve digits in quotes",
        ),
        (
            FILMS,
            IN_S3 | {"request": TABLES | {"region": "Frankfurt"}},
            "'Frankfurt' is no region of AWS; write it as eu-central-1",
        ),
        (
            FILMS,
            IN_S3 | {"request": {"region": "eu-central-1"}},
            "account: exports of format dynamodb are not asked for without it",
        ),
        (
            FILMS,
            IN_S3 | {"request": TABLES | {"cluster": "shop"}},
            "cluster: exports of format dynamodb have none; remove the field",
        ),
        (FILMS, IN_S3 | {"request": TABLES | {"role": "me"}}, "is not the ARN of a role"),
        (SHOP, IN_S3 | {"request": TABLES}, "cluster: exports of format aurora_snapshot are not asked for without it"),
        (
            SHOP,
            IN_S3 | {"request": CLUSTER | {"view": "NEW_IMAGE"}},
            "view: exports of format aurora_snapshot have none",
        ),
        (
            SHOP,
            IN_S3 | {"request": CLUSTER | {"every": "6h"}},
            "every: 6h is too short, as automated snapshots are taken once a day",
        ),
        (SHOP, IN_S3 | {"request": CLUSTER | {"cluster": "shop--1"}}, "'shop--1' is no identifier of a cluster"),
        (SHOP, {"tables": []}, "at least 1 item"),
        (SHOP, {"tables": [{"name": "a", "export_table": "orders", "key": ["id"]}]}, "form schema.table"),
        (FILMS, {"tables": [{"name": "a", "export_table": "A", "key": []}]}, "at least 1 item"),
        (FILMS, {"tables": [{"name": "a", "export_table": "A", "key": ["b", "b"]}]}, "each key column once"),
        (
            FILMS,
            {"tables": [{"name": "a", "export_table": t, "key": ["b"]} for t in "AB"]},
            "name a is given more than once",
        ),
        (SHOP, {"expectations": {"keys_gone": 5}}, "less than or equal to 1"),
        (SHOP, {"expectations": {"rows_gone": 0.1}}, "Extra inputs are not permitted"),
        (
            SHOP,
            {"accept": [{"export": "e", "table": "order", "because": "x"}]},
            "no table 'order'; tables: customers, orders",
        ),
        (SHOP, {"accept": [{"export": "e", "table": "orders"}]}, "because"),
        (
            SHOP,
            {"accept": [{"export": "e", "table": "orders", "because": reason} for reason in "ab"]},
            "export e, table orders is given more than once",
        ),
    ],
)
def test_a_mistaken_declaration_is_refused(base: ExportSourceSpec, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ExportSourceSpec(**(base.model_dump(by_alias=True) | changes))


def test_a_source_may_lie_in_s3() -> None:
    role = "arn:aws:iam::123456789012:role/teams/reads-exports"
    for origin in ("s3://exports", "s3://my-exports.example/aws/movies_2026"):
        stated = {"from": origin, "from_role": role}
        spec = ExportSourceSpec(**(FILMS.model_dump(by_alias=True) | stated))
        assert (spec.origin, spec.from_role) == (origin, role)


@pytest.mark.parametrize(
    ("base", "request_", "interval"),
    [
        (FILMS, TABLES, timedelta(days=1)),
        (FILMS, TABLES | {"every": "15m", "view": "NEW_IMAGE", "kms_key": "alias/exports"}, timedelta(minutes=15)),
        (FILMS, TABLES | {"region": "us-gov-west-1"}, timedelta(days=1)),
        (SHOP, CLUSTER | {"every": "7d"}, timedelta(days=7)),
    ],
)
def test_a_source_may_have_its_exports_asked_for(
    base: ExportSourceSpec, request_: dict[str, str], interval: timedelta
) -> None:
    spec = ExportSourceSpec(**(base.model_dump(by_alias=True) | IN_S3 | {"request": request_}))
    assert spec.request is not None
    assert spec.request.interval == interval


def test_every_field_is_described() -> None:
    schema = ExportSourceSpec.model_json_schema()
    objects = [schema, *schema["$defs"].values()]
    assert all("description" in field for kind in objects for field in kind["properties"].values())


def test_a_source_of_full_exports_alone_is_declared_as_any_other_of_dynamodb() -> None:
    declared = FILMS.model_dump(by_alias=True) | {"format": "dynamodb_full"}
    assert ExportSourceSpec.model_validate(declared) == FILMS
    assert "dynamodb_full" in ExportSourceSpec.model_json_schema()["properties"]["format"]["enum"]


def test_no_table_is_called_as_the_raw_tables_of_changes_are() -> None:
    table = FILMS.tables[0].model_dump() | {"name": "films__changes"}
    with pytest.raises(ValidationError, match="ends as the raw tables of incremental exports do; write another one"):
        ExportSourceSpec.model_validate(FILMS.model_dump(by_alias=True) | {"tables": [table]})
