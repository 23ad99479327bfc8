"""Code locations of pinned campaigns: what is written for Kustomize."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from platform_assets.cli import main
from platform_assets.operations.pinned import NoDigestError, location_name, write_component
from tests.deploy.manifests import kustomize

IMAGE = "registry.example/p/audience-platform"
COMMIT = "ab" * 20


def rendered(folder: Path) -> list[dict]:
    """The component applied to a kustomization that has the base's config map."""
    instance = {"name": "dagster-instance", "literals": ["dagster.yaml=", "workspace.yaml="]}
    return kustomize(
        folder,
        components=["pinned"],
        configMapGenerator=[instance],
        generatorOptions={"disableNameSuffixHash": True},
    )


@pytest.mark.programs("kubectl")
def test_a_pinned_campaign_is_served_alone_from_its_commits_image(tmp_path: Path) -> None:
    write_component(tmp_path / "pinned", {"win_back": COMMIT}, IMAGE)
    objects = {(part["kind"], part["metadata"]["name"]): part for part in rendered(tmp_path)}
    (container,) = objects["Deployment", "pinned-win-back"]["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item.get("value") for item in container["env"]}
    assert container["image"] == env["DAGSTER_CURRENT_IMAGE"] == f"{IMAGE}:{COMMIT}"
    assert json.loads(str(env["DAGSTER_CONTAINER_CONTEXT"])) == {"images": {"cuda": f"{IMAGE}-cuda:{COMMIT}"}}
    assert env["PLATFORM_SCOPE"] == "only:win_back"
    assert ("Service", "pinned-win-back") in objects
    workspace = yaml.safe_load(objects["ConfigMap", "dagster-instance"]["data"]["workspace.yaml"])
    assert [location["grpc_server"]["location_name"] for location in workspace["load_from"]] == [
        "platform",
        "pinned-win-back",
    ]


@pytest.mark.programs("kubectl")
def test_with_digests_every_image_goes_by_its_own(tmp_path: Path) -> None:
    digest, of_cuda = ("sha256:" + letter * 64 for letter in "cd")
    digests = {COMMIT: digest, f"{COMMIT}-cuda": of_cuda}
    write_component(tmp_path / "pinned", {"win_back": COMMIT}, IMAGE, digests)
    objects = {(part["kind"], part["metadata"]["name"]): part for part in rendered(tmp_path)}
    (container,) = objects["Deployment", "pinned-win-back"]["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item.get("value") for item in container["env"]}
    assert container["image"] == env["DAGSTER_CURRENT_IMAGE"] == f"{IMAGE}@{digest}"
    assert json.loads(str(env["DAGSTER_CONTAINER_CONTEXT"])) == {"images": {"cuda": f"{IMAGE}-cuda@{of_cuda}"}}


def test_nothing_is_written_when_a_commit_has_no_digest_and_others_have(tmp_path: Path) -> None:
    with pytest.raises(NoDigestError, match=f"win_back is pinned to {COMMIT}, of whose image no digest was given"):
        write_component(tmp_path / "pinned", {"win_back": COMMIT}, IMAGE, {"cd" * 20: "sha256:" + "c" * 64})
    assert not (tmp_path / "pinned").exists()


@pytest.mark.parametrize(
    "value", ["latest", f"{COMMIT}=latest", f"{COMMIT[:7]}=sha256:{'c' * 64}", f"sha256:{'c' * 64}"]
)
def test_what_is_no_digest_of_a_commit_is_refused(tmp_path: Path, value: str) -> None:
    told = CliRunner().invoke(main, ["pinned", str(tmp_path / "out"), "--image", IMAGE, "--digest", value])
    assert told.exit_code == 2
    assert f"{value}: takes the 40 hex digits of a commit (and -cuda" in told.output
    assert not (tmp_path / "out").exists()


@pytest.mark.programs("kubectl")
def test_a_campaign_that_is_pinned_no_longer_loses_its_code_location(tmp_path: Path) -> None:
    write_component(tmp_path / "pinned", {"one": COMMIT, "two": COMMIT}, IMAGE)
    write_component(tmp_path / "pinned", {"two": COMMIT}, IMAGE)
    names = {part["metadata"]["name"] for part in rendered(tmp_path)}
    assert names == {"pinned-two", "dagster-instance"}


def test_names_are_dns_labels_and_stay_apart() -> None:
    long = [f"a_{'very_' * 10}long_name_{end}" for end in "xy"]
    names = [location_name(campaign) for campaign in long]
    assert len(set(names)) == 2
    assert all(len(name) <= 52 and "_" not in name for name in names)


def test_nothing_is_written_while_a_campaign_file_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATFORM_CAMPAIGNS_DIR", str(tmp_path / "campaigns"))
    (before,) = (path for path in write_component(tmp_path / "out", {"one": COMMIT}, IMAGE) if "one" in path.name)
    (tmp_path / "campaigns" / "one").mkdir(parents=True)
    (tmp_path / "campaigns" / "one" / "defs.yaml").write_text("type: platform_assets.components.Campaign\n")
    told = CliRunner().invoke(main, ["pinned", str(tmp_path / "out"), "--image", IMAGE])
    assert told.exit_code == 1
    assert "one/defs.yaml" in told.output
    assert "nothing was written" in told.output
    assert before.exists()
