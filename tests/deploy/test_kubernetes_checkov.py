"""What checkov says of all that is deployed: each finding has its reason beside it, and each reason still has its finding.

The reason of a manifest is an annotation `checkov.io/skip…: <check>=<reason>`, which checkov honours too; that of run and
step pods is a comment `# <check>: <reason>` in dagster.yaml. checkov gets the manifests without these annotations.
"""

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from platform_assets.operations.pinned import write_component
from tests.deploy.manifests import KUBERNETES, NAMESPACE, Manifest, kustomize, overlay

pytestmark = pytest.mark.programs("kubectl", "checkov")

Finding = tuple[str, str, str]
SKIP = "checkov.io/skip"
COMMIT, DIGEST = "1" * 40, "sha256:" + "1" * 64
# One that a reader learns something from, and no more than fits its line.
REASON = re.compile(r"[^=]{20,120}")
# A Job's kind and name, for what is made by no manifest.
JOB = "Job"


def on_gke_with_a_pinned_campaign(folder: Path) -> list[Manifest]:
    write_component(
        folder / "pinned", {"winback": COMMIT}, "registry/audience-platform", {COMMIT: DIGEST, f"{COMMIT}-cuda": DIGEST}
    )
    relative = os.path.relpath(KUBERNETES / "overlays" / "gke", folder.resolve())
    return kustomize(folder, namespace=NAMESPACE, resources=[relative], components=["pinned"])


def reasons(place: str, objects: list[Manifest]) -> Iterator[tuple[Finding, str]]:
    for item in objects:
        for key, text in (item["metadata"].get("annotations") or {}).items():
            if key.startswith(SKIP):
                check, _, reason = text.partition("=")
                yield (place, f"{item['kind']}/{item['metadata']['name']}", check), reason


def without_reasons(objects: list[Manifest]) -> list[Manifest]:
    stripped = copy.deepcopy(objects)
    for item in stripped:
        annotations = item["metadata"].get("annotations") or {}
        item["metadata"]["annotations"] = {key: text for key, text in annotations.items() if not key.startswith(SKIP)}
    return stripped


def findings(folder: Path) -> set[Finding]:
    """What checkov finds in a folder's files: the file's name, the object, the check."""
    command = ["checkov", "--framework", "kubernetes", "--skip-download", "--compact", "--quiet", "--output", "json"]
    done = subprocess.run([*command, "--directory", str(folder)], capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert not report["summary"]["parsing_errors"], done.stderr
    assert report["summary"]["passed"] > 500
    return {
        (Path(check["file_path"]).stem, "{0}/{2}".format(*check["resource"].split(".", 2)), check["check_id"])
        for check in report["results"]["failed_checks"]
    }


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, jobs_of_runs: dict[str, Manifest]) -> dict[str, list[Manifest]]:
    """What is deployed, by where; on GKE with the Jobs of a run and of a step of each profile."""
    jobs = [
        {**sent, "metadata": {**sent["metadata"], "name": name, "namespace": NAMESPACE}}
        for name, sent in jobs_of_runs.items()
    ]
    return {
        "gke": on_gke_with_a_pinned_campaign(tmp_path_factory.mktemp("pinned")) + jobs,
        "kind": overlay("kind"),
        "monitoring": kustomize(KUBERNETES / "monitoring"),
    }


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory, deployed: dict[str, list[Manifest]]) -> set[Finding]:
    folder = tmp_path_factory.mktemp("manifests")
    for place, objects in deployed.items():
        (folder / f"{place}.yaml").write_text(yaml.safe_dump_all(without_reasons(objects)))
    return findings(folder)


def of_jobs(reported: set[Finding]) -> set[Finding]:
    return {finding for finding in reported if finding[1].startswith(f"{JOB}/")}


def test_every_finding_in_a_manifest_has_a_reason_beside_it_and_no_reason_is_left_over(
    deployed: dict[str, list[Manifest]], reported: set[Finding]
) -> None:
    explained = dict(pair for place, objects in deployed.items() for pair in reasons(place, objects))
    assert reported - of_jobs(reported) == explained.keys()
    assert [reason for reason in explained.values() if not REASON.fullmatch(reason)] == []


def test_every_finding_in_a_pod_of_a_run_has_a_reason_in_the_instances_configuration(reported: set[Finding]) -> None:
    text = (KUBERNETES / "base" / "dagster.yaml").read_text()
    explained = {check for check, _ in re.findall(r"^ *# (CKV\w+): ([^=\n]{20,})$", text, re.MULTILINE)}
    assert {check for _, _, check in of_jobs(reported)} == explained
    assert {name for _, name, check in of_jobs(reported) if check == "CKV_K8S_38"} == {f"{JOB}/run"}
