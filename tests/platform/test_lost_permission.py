"""A right that was lost, or a storage that does not answer, over the whole platform: red with a sentence, never 'nothing new'."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_assets.audiences.audience.publication import publish_file
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.promoted import PromotedModels
from platform_assets.campaigns.training_sets.teacher import opened_teacher
from platform_assets.components.loading import read_source_files
from platform_assets.data.catalog.pointer import MartStore
from platform_assets.data.catalog.standing import Standing
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.quality.verdicts import Verdicts
from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import ArtifactRef, ArtifactStore
from platform_assets.foundation.artifacts.checkpoint import Checkpoint
from platform_assets.foundation.artifacts.io_manager import ArtifactRefIOManager
from platform_assets.foundation.storage import StorageRefused, files_at
from platform_assets.operations.automation.sensors import new_exports_sensor
from platform_assets.operations.diagnosis import diagnose
from tests.data.exports.breaking import write_shop
from tests.support.answering import Reply
from tests.support.bucket_of_folder import BucketOfFolder, bucket_of, refusing
from tests.support.running import Platform, failures_of
from tests.support.unprivileged import closed, open_folder

REF = ArtifactRef("a", "f" * 64, "c" * 64)
TEACHER = CampaignSpec.model_validate(
    {
        "owner": "team:crm",
        "description": "Those who a teacher says.",
        "entity": "viewer",
        "label": {"teacher": "scifi_fans.csv", "within": "90d"},
        "audience": {"top": "10%"},
    }
)


def taught(root: str) -> None:
    with opened_teacher(TEACHER, root):
        """It is there."""


def handed_on(root: str) -> ArtifactRef:
    context = dg.build_input_context(asset_key=dg.AssetKey("a"), upstream_output=dg.build_output_context())
    return ArtifactRefIOManager(root=root).load_input(context)


# Everything that looks up or lists what the platform keeps in a folder or bucket.
LOOKS: dict[str, Callable[[str], object]] = {
    "pointer to marts": lambda root: MartStore(root).pointer(),
    "what marts stand on": lambda root: Standing(root).all([]),
    "verdict": lambda root: Verdicts(root).require("features/a", "1998-01-01"),
    "promoted campaigns": lambda root: PromotedModels(root).campaigns(),
    "promoted models": lambda root: PromotedModels(root).champion("a", date(1998, 1, 1)),
    "pre-trained body": lambda root: PromotedModels(root).body("customer", date(1998, 1, 1)),
    "artifact": lambda root: ArtifactStore(root).find(REF.fingerprint),
    "artifact by reference": lambda root: ArtifactStore(root).open(REF),
    "bundle's file": lambda root: ArtifactStore(root).local_path(REF, "b", {"b": "0" * 64}),
    "checkpoint": lambda root: Checkpoint(files_at(root), "f").load(),
    "teacher file": taught,
    "reference of a step": handed_on,
    "publication": lambda root: publish_file(__file__, root, "page.html"),
}


@pytest.mark.parametrize("look", LOOKS)
def test_whatever_looks_something_up_tells_that_a_bucket_refused(look: str, tmp_path: Path) -> None:
    with bucket_of(tmp_path) as server:
        for status in (401, 403, 503):
            server.refuses = refusing(status)
            with pytest.raises(StorageRefused, match=r"gs://lake/kept.*nobody \(no credentials\)"):
                LOOKS[look]("gs://lake/kept")


# A file of a bundle is looked for among the process's own downloads first, which are root's where root runs the tests.
@pytest.mark.parametrize("look", [look for look in LOOKS if look != "bundle's file"])
def test_whatever_looks_something_up_tells_that_a_folder_is_closed(look: str) -> None:
    with open_folder() as folder:
        (folder / "kept").mkdir()
        with closed(folder / "kept"), pytest.raises(StorageRefused, match=r"kept.*not allowed to .*uid"):
            LOOKS[look](str(folder / "kept"))


def test_raw_tables_that_may_not_be_listed_are_not_taken_for_none() -> None:
    with open_folder() as folder:
        (folder / "shop" / "orders").mkdir(parents=True)
        with closed(folder / "shop" / "orders"), pytest.raises(StorageRefused, match="orders: not allowed to list"):
            FolderTables(folder).loaded([("shop", "orders")])


@pytest.fixture
def server(environment: Environment) -> Iterator[BucketOfFolder]:
    environment.data.mkdir(parents=True)
    with bucket_of(environment.data / "lake") as server:
        yield server


@pytest.fixture
def in_bucket(environment: Environment) -> Environment:
    return replace(environment, exports="gs://lake/exports")


def look(environment: Environment, cursor: str | None = None) -> Any:
    sources = {file.name: file.spec for file in read_source_files(environment.sources) if file.spec is not None}
    sensor = new_exports_sensor(sources, environment)
    with dg.build_sensor_context(cursor=cursor) as context:
        return sensor.evaluate_tick(context)


@pytest.mark.parametrize("status", [401, 403, 500, 502, 503, None])
def test_a_look_at_a_lake_that_refuses_fails_with_the_sentence(
    server: BucketOfFolder, in_bucket: Environment, status: int | None
) -> None:
    assert look(in_bucket).skip_message == "no export has finished since the last look"
    server.refuses = refusing(status)
    with pytest.raises(StorageRefused, match=r"gs://lake/exports/shop.*What is there is not known"):
        look(in_bucket)


def test_a_right_lost_to_one_source_does_not_keep_the_news_of_another(
    server: BucketOfFolder, in_bucket: Environment, environment: Environment
) -> None:
    write_shop(environment.exports)
    forbidden = refusing(403)

    def refuses(asked: str, name: str) -> Reply | None:
        return forbidden("list", name) if name.startswith("exports/movies") else None

    server.refuses = refuses
    tick = look(in_bucket)
    (request,) = tick.run_requests or []
    assert request.tags["new_exports"] == "shop"
    with pytest.raises(StorageRefused, match="gs://lake/exports/movies"):
        look(in_bucket, tick.cursor)
    server.refuses = lambda asked, name: None
    assert look(in_bucket, tick.cursor).skip_message


def test_ingestion_from_a_lake_that_refuses_fails_with_the_sentence(
    server: BucketOfFolder, in_bucket: Environment
) -> None:
    server.refuses = refusing(403)
    with dg.DagsterInstance.ephemeral() as instance:
        result = Platform.of(in_bucket, instance).run("refresh_marts")
    assert not result.success
    told = failures_of(result)
    assert {step: "roles/storage.objectViewer" in sentence for step, sentence in told.items()} == {
        "raw_shop": True,
        "raw_movies": True,
    }
    assert not result.get_asset_materialization_events()


def test_the_doctor_says_what_he_may_not_look_at(server: BucketOfFolder, in_bucket: Environment) -> None:
    server.refuses = refusing(403)
    told = {diagnosis.what: diagnosis for diagnosis in diagnose(in_bucket)}
    assert not told["exports"].good
    assert "roles/storage.objectViewer" in told["exports"].found
    assert "marts" in told
