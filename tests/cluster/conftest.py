"""The platform on the cluster, and the same campaigns run on this machine alone: what the cluster's must be equal to.

Belongs here: fixtures of the tests that deploy the platform. Sample exports are cut down to a few people.
"""

import compileall
import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml

from platform_assets.data.engines.bigquery.connection import BigQuery
from platform_assets.data.engines.bigquery.preparing import prepare
from platform_assets.environment import PACKAGE, REPOSITORY, Environment, environment_from_variables, local_environment
from platform_assets.foundation.storage import files_at
from samples.exports import copy_exports
from samples.teachers import SCIFI_FILE
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import STATES
from tests.cluster.deployed import Deployed, deployed
from tests.cluster.images import all_images
from tests.emulators import namespaces
from tests.emulators.servers import Emulators
from tests.support.running import Platform

AS_OF = "1998-07-01"
DECLARED_PROFILES = PACKAGE / "foundation" / "execution" / "profiles.yaml"
# On one GPU: their networks' folds take turns.
SHOP = ("repeat_buyers", "winback")
FOLDS = 3
# The profile of each: the folds of one are given up when no GPU is there for so long, while those of the other outlast nodes.
PROFILE_OF = {"repeat_buyers": "gpu", "winback": "gpu-soon"}
START_LIMIT_SECONDS = 30


@pytest.fixture(scope="session")
def cluster_folder() -> Iterator[Path]:
    """A folder that pods see too: theirs for /tmp is another."""
    folder = STATES / f"platform-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def profiles(cluster_folder: Path) -> Path:
    """The platform's resource profiles, and one with a GPU that is not waited for as long."""
    path = cluster_folder / "profiles.yaml"
    declared = yaml.safe_load(DECLARED_PROFILES.read_text(encoding="utf-8"))
    soon = declared["gpu"] | {"start_limit_seconds": START_LIMIT_SECONDS}
    path.write_text(yaml.safe_dump(declared | {"gpu-soon": soon}, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def campaigns(cluster_folder: Path) -> Path:
    """Both shop campaigns as they are declared, with fewer folds and a GPU for their networks."""
    for name in SHOP:
        declared = yaml.safe_load((REPOSITORY / "defs" / "campaigns" / name / "defs.yaml").read_text(encoding="utf-8"))
        advanced = declared["attributes"].get("advanced", {})
        declared["attributes"]["advanced"] = advanced | {"resources": PROFILE_OF[name], "folds": FOLDS}
        folder = cluster_folder / "campaigns" / name
        folder.mkdir(parents=True)
        (folder / "defs.yaml").write_text(yaml.safe_dump(declared))
    return cluster_folder / "campaigns"


@pytest.fixture(scope="session")
def alone(
    small_environment: Environment, campaigns: Path, profiles: Path, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """Both campaigns trained and scored in one process, on DuckDB: no cluster, no bucket."""
    folder = tmp_path_factory.mktemp("alone") / "data"
    environment = local_environment(
        folder, dbt_project=small_environment.dbt_project, campaigns=campaigns, profiles=profiles
    )
    shutil.copytree(small_environment.data, environment.data)
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform.of(environment, instance)
        for name in SHOP:
            assert platform.run(f"train_{name}").success
        assert platform.run("score_customer", partition_key=AS_OF).success
    return environment


@pytest.fixture(scope="session")
def platform(
    cluster: Cluster,
    emulators: Emulators | None,
    small_environment: Environment,
    campaigns: Path,
    profiles: Path,
    cluster_folder: Path,
    pytestconfig: pytest.Config,
) -> Iterator[Deployed]:
    """The platform deployed on the cluster, with the exports loaded and its marts built by a run of its own."""
    # As in the image: pods that compile the platform's modules would all do it again.
    assert compileall.compile_dir(PACKAGE, quiet=1)
    with contextlib.ExitStack() as stack:
        variables = stack.enter_context(namespaces.opened(pytestconfig, emulators))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in variables.items():
            patch.setenv(name, value)
        # In the image: code of an older commit, which has another, would not take this file.
        with_profiles = {"PLATFORM_PROFILES": str(profiles)}
        for name, image in all_images().items():
            if name.startswith("audience-platform"):
                cluster.provide_image(name, image | {"env": image["env"] | with_profiles})
        patch.setenv("PLATFORM_PROFILES", str(profiles))
        places = {"PLATFORM_DATA": str(cluster_folder / "data"), "PLATFORM_CAMPAIGNS_DIR": str(campaigns)}
        environment = environment_from_variables(
            variables | places | {"PLATFORM_DBT_PROJECT": str(small_environment.dbt_project)}
        )
        assert environment.cloud is not None
        assert all(made.good for made in prepare(BigQuery(environment.cloud)))
        copy_exports(Path(small_environment.exports), str(environment.exports))
        files_at(environment.teachers).put_file(Path(small_environment.teachers) / SCIFI_FILE, SCIFI_FILE)
        logs = {"DAGSTER_LOGS_BUCKET": environment.cloud.open_bucket}
        told = variables | logs | {"PLATFORM_CAMPAIGNS_DIR": str(campaigns), "PLATFORM_SCORING_SHARDS": "2"}
        running = stack.enter_context(deployed(cluster, environment, cluster_folder / "deployed", told))
        running.succeeds(running.launch("refresh_marts"))
        yield running


@dataclass(frozen=True)
class Ran:
    """Both shop campaigns from exports to audiences: the ids of the runs."""

    train: dict[str, str]
    score: str


@pytest.fixture(scope="session")
def ran(platform: Deployed) -> Ran:
    train = {name: platform.launch(f"train_{name}") for name in SHOP}
    for run in train.values():
        platform.succeeds(run)
    score = platform.launch("score_customer", partition=AS_OF)
    platform.succeeds(score)
    return Ran(train, score)
