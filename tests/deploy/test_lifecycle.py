"""The lifecycle rules of both buckets delete what nobody takes up again, and nothing that the platform stands on."""

import json
from pathlib import Path

import pytest

from platform_assets.campaigns.registry.promoted import KeptBody, PromotedModels, Promotion
from platform_assets.environment import REPOSITORY, Cloud, Environment, cloud_environment
from platform_assets.foundation.artifacts import ArtifactRef
from platform_assets.foundation.artifacts.checkpoint import Checkpoint
from platform_assets.foundation.storage import files_at

BUCKET = "example-audiences-dev"


@pytest.fixture(scope="module")
def rules() -> dict[str, int]:
    """Days by prefix of what is deleted then."""
    stored = json.loads((REPOSITORY / "deploy" / "gcp" / "lifecycle.json").read_text())["lifecycle"]["rule"]
    assert {rule["action"]["type"] for rule in stored} == {"Delete"}
    return {prefix: rule["condition"]["age"] for rule in stored for prefix in rule["condition"]["matchesPrefix"]}


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return cloud_environment("gcp", Cloud("example", BUCKET), tmp_path)


def test_checkpoints_of_fits_that_were_given_up_go_away(rules: dict[str, int], tmp_path: Path) -> None:
    Checkpoint(files_at(tmp_path / "artifacts"), "0123").save(b"state")
    [written] = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert [days for prefix, days in rules.items() if written.startswith(prefix)] == [30]


def test_curves_and_logs_go_away_as_long_after_as_the_runs_they_are_of(
    rules: dict[str, int], environment: Environment
) -> None:
    settings = (REPOSITORY / "deploy" / "kubernetes" / "base" / "platform.env").read_text().splitlines()
    [logs] = [line.removeprefix("DAGSTER_LOGS_PREFIX=") for line in settings if line.startswith("DAGSTER_LOGS_PREFIX=")]
    assert rules[f"{logs}/"] == 90
    assert environment.tensorboard == f"gs://{BUCKET}-reports/tensorboard"
    assert rules["tensorboard/"] == 90


def test_nothing_else_of_the_platform_is_ever_deleted(
    rules: dict[str, int], environment: Environment, tmp_path: Path
) -> None:
    ref, models = ArtifactRef("key", "0123", "4567"), PromotedModels(tmp_path / "artifacts")
    models.promote("spring", Promotion("customer", "1998-07-01", ref, ref, ref))
    models.keep_body("customer", KeptBody("1998-07-01", ref))
    written = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")]
    assert len(written) == 2
    kept = {
        *written,
        "artifacts/content/",
        "artifacts/recipes/",
        "artifacts/latest/",
        "artifacts/leases/",
        *(
            f"{str(place).removeprefix(f'gs://{BUCKET}/')}/"
            for place in (
                environment.marts,
                environment.audiences,
                environment.verdicts,
                environment.refs,
                environment.exports,
                environment.teachers,
            )
        ),
        *(
            f"{str(place).removeprefix(f'gs://{BUCKET}-reports/')}/"
            for place in (environment.reports, environment.data_docs)
        ),
    }
    assert {
        (prefix, one) for prefix in rules for one in kept if one.startswith(prefix) or prefix.startswith(one)
    } == set()
