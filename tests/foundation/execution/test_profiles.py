"""Resource profiles: what a file may say, and the pods that dagster-k8s makes of them."""

import json
from pathlib import Path

import pytest
from dagster_k8s.job import UserDefinedDagsterK8sConfig

from platform_assets.environment import PACKAGE
from platform_assets.foundation.execution.profiles import K8S_TAG, START_LIMIT_TAG, ProfileError, read_profiles

PROFILES = read_profiles(PACKAGE / "foundation" / "execution" / "profiles.yaml")
SMALL = "{cpu: '1', memory: 1Gi, disk: 1Gi, pool: cpu, priority_class: platform-step}"


def pod(name: str, spot: bool) -> UserDefinedDagsterK8sConfig:
    return UserDefinedDagsterK8sConfig.from_dict(json.loads(PROFILES[name].tags(name, spot, {})[K8S_TAG]))


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("spot", [True, False])
def test_dagster_k8s_understands_every_profile(name: str, spot: bool) -> None:
    made = pod(name, spot)
    resources = made.container_config["resources"]
    assert resources["requests"] == resources["limits"]
    assert {"cpu", "memory", "ephemeral-storage"} <= set(resources["limits"])
    assert made.pod_spec_config["node_selector"] == {"platform-assets/pool": PROFILES[name].pool}


def test_only_a_profile_with_gpus_asks_for_one_and_may_stand_on_their_nodes() -> None:
    def tolerates(name: str) -> bool:
        return any(item["key"] == "nvidia.com/gpu" for item in pod(name, True).pod_spec_config["tolerations"])

    asks = {name: pod(name, True).container_config["resources"]["limits"].get("nvidia.com/gpu") for name in PROFILES}
    assert asks == {"cpu": None, "highmem": None, "gpu": "1", "gpu-large": "1"}
    assert {name: tolerates(name) for name in PROFILES} == {name: bool(asks[name]) for name in PROFILES}


def test_on_demand_keeps_off_spot_nodes_and_spot_only_prefers_them() -> None:
    on_demand, spot = pod("cpu", False).pod_spec_config, pod("cpu", True).pod_spec_config
    assert on_demand["tolerations"] == []
    assert "required_during_scheduling_ignored_during_execution" in on_demand["affinity"]["node_affinity"]
    assert list(spot["affinity"]["node_affinity"]) == ["preferred_during_scheduling_ignored_during_execution"]


def test_every_profile_says_how_long_its_pod_may_take_to_start() -> None:
    limits = {name: float(PROFILES[name].tags(name, True, {})[START_LIMIT_TAG]) for name in PROFILES}
    assert limits == {"cpu": 1800, "highmem": 1800, "gpu": 3600, "gpu-large": 3600}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no resource profiles"),
        ("small: [1]", "small: [1] is not what goes here; it takes keys: cpu, disk, gpus"),
        (
            f"small: {SMALL.replace('1Gi', 'lots', 1)}",
            "small.memory: 'lots' is not a Kubernetes quantity such as 500m, 2 or 8Gi",
        ),
        (f"small: {SMALL.replace('cpu:', 'cpus:', 1)}", "small.cpus"),
        (f"small: {SMALL.replace('}', ', gpus: 1}')}", "small.without_gpu: is missing"),
        (f"small: {SMALL.replace('}', ', gpus: 1, without_gpu: big}')}", "small.without_gpu: big is not a profile"),
        (f"small: {SMALL.replace('}', ', start_limit_seconds: 0}')}", "small.start_limit_seconds"),
        ("small: [", ":1: not readable as YAML: ends within a ["),
        (f"small: &a {SMALL}\nlarge: *a", ":1: anchors and aliases (& and *) are not read here"),
        (f"small: {SMALL}\nsmall: {SMALL}", ":2: small: stands here twice"),
    ],
)
def test_a_wrong_profiles_file_is_refused_with_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "profiles.yaml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=r"profiles\.yaml") as refused:
        read_profiles(path)
    assert said in str(refused.value)


def test_a_profiles_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"nowhere\.yaml"):
        read_profiles(tmp_path / "nowhere.yaml")
