"""The values for Dagster's own chart say the same as dagster.yaml; the chart itself is not rendered here."""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from dagster._config import process_config
from dagster._serdes import ConfigurableClass, class_from_code_pointer

from platform_assets.environment import REPOSITORY
from tests.deploy.manifests import KUBERNETES

VALUES = yaml.safe_load((REPOSITORY / "deploy" / "helm" / "values.yaml").read_text())
DAGSTER = yaml.safe_load((KUBERNETES / "base" / "dagster.yaml").read_text())
# dagster.yaml's run_monitoring has one more, which the chart does not know.
MONITORING = {
    "enabled": "enabled",
    "pollIntervalSeconds": "poll_interval_seconds",
    "startTimeoutSeconds": "start_timeout_seconds",
    "cancelTimeoutSeconds": "cancel_timeout_seconds",
    "maxResumeRunAttempts": "max_resume_run_attempts",
    "freeSlotsAfterRunEndSeconds": "free_slots_after_run_end_seconds",
}


def images(value: Any) -> Iterator[dict[str, str]]:
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(value, dict) and below is value.get("image"):
            yield below
        yield from images(below)


def without_password(launcher: dict[str, Any]) -> dict[str, Any]:
    """A launcher but for the variables of the database, which the chart names otherwise."""
    container = launcher["config"]["run_k8s_config"]["container_config"]
    env = [entry for entry in container["env"] if not re.match("DAGSTER_(POSTGRES|PG)_", entry["name"])]
    run = {**launcher["config"]["run_k8s_config"], "container_config": {**container, "env": env}}
    return {**launcher, "config": {**launcher["config"], "run_k8s_config": run}}


def test_launcher_and_coordinator_are_those_of_the_manifests_and_dagster_takes_them() -> None:
    launcher = VALUES["runLauncher"]["config"]["customRunLauncher"]
    coordinator = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["customRunCoordinator"]
    assert without_password(launcher) == without_password(DAGSTER["run_launcher"])
    assert coordinator == DAGSTER["run_coordinator"]
    for part in (launcher, coordinator):
        configured = class_from_code_pointer(part["module"], part["class"])
        assert issubclass(configured, ConfigurableClass)
        assert process_config(configured.config_type(), part["config"]).success


def test_monitoring_pools_and_retention_are_those_of_the_manifests() -> None:
    monitoring = VALUES["dagsterDaemon"]["runMonitoring"]
    assert {MONITORING[key]: value for key, value in monitoring.items()} == {
        key: DAGSTER["run_monitoring"][key] for key in MONITORING.values()
    }
    for key, value in VALUES["additionalInstanceConfig"].items():
        assert value == DAGSTER[key]
    for name, key in (("schedule", "schedule"), ("sensor", "sensor"), ("autoMaterialize", "auto_materialize")):
        assert VALUES["retention"][name]["purgeAfterDays"] == DAGSTER["retention"][key]["purge_after_days"]


def test_every_image_goes_by_its_digest_as_the_chart_writes_it() -> None:
    written = [f"{image['repository']}:{image['tag']}" for image in images(VALUES)]
    assert len(written) == 3
    assert all(image.endswith("/audience-platform@sha256:REPLACE-digest") for image in written)
