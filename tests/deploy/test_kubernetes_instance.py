"""dagster.yaml on Kubernetes: Dagster's own validation takes it, and the pods that come of it keep the same rules."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from dagster._config import process_config
from dagster._core.errors import DagsterInvalidConfigError
from dagster._core.instance.config import PoolGranularity, dagster_instance_config
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.test_utils import instance_for_test
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster._serdes import ConfigurableClass, ConfigurableClassData, class_from_code_pointer
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job
from kubernetes.client import ApiClient

from platform_assets.environment import PACKAGE
from platform_assets.foundation.execution.pod_launcher import PodRunLauncher
from platform_assets.foundation.execution.pods import PodExecutor
from platform_assets.foundation.execution.profiles import read_profiles
from platform_assets.foundation.execution.run_tags import stamp
from tests.deploy.manifests import NAMESPACE, OVERLAYS, Manifest, PodTemplate, of_kind, overlay
from tests.deploy.pod_security import house_violations, unpinned_images, violations
from tests.deploy.test_manifests import VERSIONS

pytestmark = pytest.mark.programs("kubectl")

IMAGE = "registry/audience-platform@sha256:" + "1" * 64
CUDA_IMAGE = "registry/audience-platform-cuda@sha256:" + "2" * 64
CUDA_NAMED = {"images": {"cuda": CUDA_IMAGE}}
PROFILES = read_profiles(PACKAGE / "foundation" / "execution" / "profiles.yaml")
VARIABLES = {
    "DAGSTER_POSTGRES_HOST": "postgres",
    "DAGSTER_POSTGRES_USER": "dagster",
    "DAGSTER_POSTGRES_PASSWORD": "secret",
    "DAGSTER_CODE_HOST": "code-platform",
    "DAGSTER_LOGS_PREFIX": "compute_logs",
    "DAGSTER_LOGS_BUCKET": "some-bucket-reports",
}
# In what an overlay's dagster.yaml may differ from the base's, which the gke overlay has.
DIFFERENCES = {
    "test": {
        "compute_logs.config.upload_interval",
        "run_coordinator.config.dequeue_interval_seconds",
        "run_launcher.config.resources.requests.memory",
        "run_monitoring.poll_interval_seconds",
        "run_monitoring.start_timeout_seconds",
        "run_monitoring.cancel_timeout_seconds",
        "run_monitoring.max_resume_run_attempts",
        "run_monitoring.cancellation_thread_poll_interval_seconds",
        "run_monitoring.free_slots_after_run_end_seconds",
    },
    "kind": {
        "compute_logs.module",
        "compute_logs.class",
        "compute_logs.config.base_dir",
        "compute_logs.config.bucket.env",
        "compute_logs.config.local_dir",
        "compute_logs.config.prefix.env",
        "compute_logs.config.upload_interval",
        "run_coordinator.config.max_concurrent_runs",
        "run_launcher.config.volumes.3.emptyDir",
        "run_launcher.config.volumes.3.persistentVolumeClaim.claimName",
    },
    "gke": set(),
}


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


def configuration(name: str) -> Manifest:
    return yaml.safe_load(of_kind(overlay(name), "ConfigMap")["dagster-instance"]["data"]["dagster.yaml"])


def launcher_configuration(name: str, folder: Path) -> Manifest:
    """The launcher's part of dagster.yaml, for a process outside a cluster: with a kubeconfig that leads nowhere."""
    kubeconfig = folder / "kubeconfig"
    context = {"name": "none", "context": {"cluster": "none", "user": "none"}}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "none", "user": {}}],
        "contexts": [context],
        "current-context": "none",
    }
    kubeconfig.write_text(json.dumps(content))
    part = configuration(name)["run_launcher"]
    outside = {"load_incluster_config": False, "kubeconfig_file": str(kubeconfig)}
    return {**part, "config": part["config"] | outside}


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not value or not isinstance(value, dict | list):
        yield ".".join(path), value
    for key, below in entries:
        yield from leaves(below, (*path, str(key)))


@pytest.mark.parametrize("name", OVERLAYS)
def test_dagster_takes_the_instances_configuration(name: str, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(configuration(name)))
    taken, _ = dagster_instance_config(str(tmp_path))
    for part in ("run_launcher", "run_coordinator", "compute_logs", "local_artifact_storage"):
        configured = class_from_code_pointer(taken[part]["module"], taken[part]["class"])
        assert issubclass(configured, ConfigurableClass)
        # The launcher's own schema takes anything; this one is applied where it is real.
        schema = (PodRunLauncher if part == "run_launcher" else configured).config_type()
        checked = process_config(schema, taken[part]["config"])
        assert checked.success, checked.errors


def test_a_wrong_key_in_the_launchers_configuration_would_be_found(tmp_path: Path) -> None:
    part = launcher_configuration("gke", tmp_path)
    written = ConfigurableClassData(part["module"], part["class"], "")
    configured = class_from_code_pointer(written.module_name, written.class_name)
    assert issubclass(configured, ConfigurableClass)
    assert configured.from_config_value(written, part["config"])
    with pytest.raises(DagsterInvalidConfigError, match="service_acount"):
        configured.from_config_value(written, part["config"] | {"service_acount": "x"})


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_overlays_copies_differ_from_the_base_in_nothing_else(name: str) -> None:
    base, here = dict(leaves(configuration("gke"))), dict(leaves(configuration(name)))
    assert {path for path in base.keys() | here.keys() if base.get(path) != here.get(path)} == DIFFERENCES[name]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_workspace_is_one_code_location_reached_by_its_service(name: str, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(of_kind(overlay(name), "ConfigMap")["dagster-instance"]["data"]["workspace.yaml"])
    [origin] = location_origins_from_yaml_paths([str(workspace)])
    assert isinstance(origin, GrpcServerCodeLocationOrigin)
    assert (origin.location_name, origin.host, origin.port) == ("platform", "code-platform", 4266)
    assert origin.host in of_kind(overlay(name), "Service")


def test_the_queue_is_fair_between_campaigns_and_an_unset_pool_has_one_slot() -> None:
    parts = configuration("gke")
    chosen = {key: parts[key] for key in ("run_coordinator", "concurrency")}
    with instance_for_test(overrides=chosen) as instance:
        concurrency = instance.get_concurrency_config()
        assert concurrency.pool_config.default_pool_limit == 1
        assert concurrency.pool_config.pool_granularity == PoolGranularity.OP
        queue = concurrency.run_queue_config
        assert queue is not None
        assert queue.max_concurrent_runs == 20
        limits = {limit["key"]: limit for limit in queue.tag_concurrency_limits}
        assert limits["campaign"]["value"] == {"applyLimitPerUniqueValue": True}


def test_a_lost_run_is_resumed_and_a_failed_step_is_not_a_lost_run(tmp_path: Path) -> None:
    parts = configuration("gke") | {"run_launcher": launcher_configuration("gke", tmp_path)}
    chosen = {key: parts[key] for key in ("run_monitoring", "run_retries", "run_launcher")}
    with instance_for_test(overrides=chosen) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_resume_run_attempts >= 10
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure


def test_step_pods_and_code_locations_open_the_instance_without_a_token() -> None:
    """With run monitoring, Dagster makes the launcher wherever the instance is opened; no token is mounted here either."""
    parts = configuration("gke")
    chosen = {key: parts[key] for key in ("run_monitoring", "run_launcher")}
    with instance_for_test(overrides=chosen) as instance:
        assert instance.run_monitoring_enabled


def sent_job(context: K8sContainerContext, launcher: Any, component: str, image: str) -> Manifest:
    """The Job that dagster-k8s would make, as it is sent."""
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config(image, launcher),
        ["dagster", "api", "execute_run"],
        f"dagster-{component.replace('_', '-')}",
        user_defined_k8s_config=context.run_k8s_config,
        component=component,
        labels={"dagster/run-id": "0"},
    )
    sent: Manifest = ApiClient().sanitize_for_serialization(job)
    return sent


def run_job(instance: dg.DagsterInstance, image: str = IMAGE) -> Manifest:
    """The Job of a run of a campaign with a GPU."""
    steps = [{"campaign": "winback", **PROFILES["gpu"].tags("gpu", spot=True, labels={})}]
    run = dg.DagsterRun("winback", tags=stamp({}, steps, date(2026, 11, 22)))
    context = instance.run_launcher.get_container_context_for_run(run)  # type: ignore[attr-defined]
    assert context.namespace == NAMESPACE
    return sent_job(context, instance.run_launcher, "run_worker", image)


def step_job(
    instance: dg.DagsterInstance, profile: str, image: str = IMAGE, container_context: Mapping[str, Any] = CUDA_NAMED
) -> Manifest:
    """The Job of a step of a profile, whose code location runs an image and says this of its containers."""
    tags = PROFILES[profile].tags(profile, spot=True, labels={"platform-assets/campaign": "winback"})
    return job_of_step(instance, tags, image, container_context)


def job_of_step(
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    image: str = IMAGE,
    container_context: Mapping[str, Any] = CUDA_NAMED,
) -> Manifest:
    """The Job of a step with these tags."""
    handler = PodExecutor.on(instance, "campaign:winback", None)._step_handler  # type: ignore[attr-defined]
    step = SimpleNamespace(step=SimpleNamespace(op_name="fold"))
    location = SimpleNamespace(container_image=image, container_context=container_context)
    asked = SimpleNamespace(
        dagster_run=dg.DagsterRun("winback"),
        instance=instance,
        execute_step_args=SimpleNamespace(
            step_keys_to_execute=["fold"], job_origin=SimpleNamespace(repository_origin=location)
        ),
        step_tags={"fold": tags},
        get_step_context=lambda _: step,
    )
    return sent_job(handler._get_container_context(asked), instance.run_launcher, "step_worker", image)


def pod_of(job: Manifest) -> PodTemplate:
    template = job["spec"]["template"]
    return PodTemplate("Job", template["metadata"], template["spec"])


def jobs_on(name: str, folder: Path) -> dict[str, Manifest]:
    """The Job of a run on an overlay under "run", and of a step under each profile's name, of the images that run there."""
    [container] = of_kind(overlay(name), "Deployment")["code-platform"]["spec"]["template"]["spec"]["containers"]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    context = json.loads(variables.get("DAGSTER_CONTAINER_CONTEXT") or "{}")
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in VARIABLES.items():
            patch.setenv(variable, value)
        with instance_for_test(overrides={"run_launcher": launcher_configuration(name, folder)}) as instance:
            steps = {profile: step_job(instance, profile, container["image"], context) for profile in PROFILES}
            return {"run": run_job(instance, container["image"]), **steps}


def check_pod(name: str, sent: Manifest, may_call_api: bool) -> PodTemplate:
    pod = pod_of(sent)
    for version in VERSIONS:
        kubernetes_validate.validate(sent, version, strict=True)
    assert violations(pod) == house_violations(pod, may_call_api) == unpinned_images(pod) == []
    objects = overlay(name)
    assert pod.spec["serviceAccountName"] in of_kind(objects, "ServiceAccount")
    assert pod.spec["priorityClassName"] in of_kind(objects, "PriorityClass")
    [container] = pod.containers
    assert {"configMapRef": {"name": "platform-environment"}} in container["envFrom"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    assert len(volumes) == len(pod.spec["volumes"]), "a volume comes twice"
    assert set(mounts.values()) == set(volumes)
    assert volumes[mounts["/opt/dagster/home"]]["configMap"]["name"] == "dagster-instance"
    variables = {entry["name"]: entry for entry in container["env"]}
    assert variables["DAGSTER_HOME"]["value"] == "/opt/dagster/home"
    role = {"platform-run": "run", "platform-step": "step"}[pod.spec["serviceAccountName"]]
    for name, key in (("DAGSTER_POSTGRES_USER", "username"), ("DAGSTER_POSTGRES_PASSWORD", "password")):
        assert variables[name]["valueFrom"] == {"secretKeyRef": {"name": f"postgres-{role}", "key": key}}
    assert len(variables) == len(container["env"]), "a variable comes twice"
    assert sent["spec"]["backoffLimit"] == 0
    return pod


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_run_pod_keeps_the_rules_and_may_start_steps(name: str, tmp_path: Path) -> None:
    with instance_for_test(overrides={"run_launcher": launcher_configuration(name, tmp_path)}) as instance:
        pod = check_pod(name, run_job(instance), may_call_api=True)
    assert pod.spec["serviceAccountName"] == "platform-run"
    assert {"name": "PLATFORM_SCOPE", "value": "campaign:winback"} in pod.containers[0]["env"]
    assert "nvidia.com/gpu" not in pod.containers[0]["resources"]["limits"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", OVERLAYS)
def test_a_step_pod_keeps_the_rules_has_its_profile_and_no_token(name: str, profile: str, tmp_path: Path) -> None:
    with instance_for_test(overrides={"run_launcher": launcher_configuration(name, tmp_path)}) as instance:
        pod = check_pod(name, step_job(instance, profile), may_call_api=False)
    assert pod.spec["serviceAccountName"] == "platform-step"
    asked = PROFILES[profile]
    limits = pod.containers[0]["resources"]["limits"]
    assert limits == pod.containers[0]["resources"]["requests"]
    assert (limits["cpu"], limits["memory"], limits["ephemeral-storage"]) == (asked.cpu, asked.memory, asked.disk)
    assert limits.get("nvidia.com/gpu") == (str(asked.gpus) if asked.gpus else None)
    assert pod.spec["nodeSelector"] == {"platform-assets/pool": asked.pool}
    assert pod.spec["priorityClassName"] == asked.priority_class
    assert pod.containers[0]["image"] == (CUDA_IMAGE if asked.image else IMAGE)
