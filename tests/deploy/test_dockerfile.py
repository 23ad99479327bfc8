"""The image's Dockerfile: what hadolint says, and promises that no linter knows. Nothing is built here.

Every promise is tried twice: on the Dockerfile, and on one that breaks it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from platform_assets.environment import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "docker"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
BUILD_TOOLS = re.compile(r"\b(gcc|g\+\+|build-essential|make|git|curl|wget|pip|python3\.11-(venv|dev)|uv)\b")
SECRET_NAME = re.compile(r"TOKEN|PASSWORD|SECRET|CREDENTIAL|API_?KEY", re.IGNORECASE)
PINNED_TAG = re.compile(r"[a-z0-9./-]+:(?!latest)[a-z0-9.-]+(@sha256:[0-9a-f]{64})?")

Instruction = tuple[str, str]


def instructions(text: str) -> list[Instruction]:
    """(instruction, its arguments on one line), without comments."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [(line.split()[0], line.partition(" ")[2]) for line in joined.splitlines() if line.strip()]


def stages(text: str) -> dict[str, list[Instruction]]:
    """The instructions of each named stage; those before the first are under ''."""
    found: dict[str, list[Instruction]] = {"": []}
    for name, arguments in instructions(text):
        if name == "FROM":
            found[arguments.rpartition(" AS ")[2]] = []
        found[list(found)[-1]].append((name, arguments))
    return found


def broken_promises(text: str) -> Iterator[str]:
    by_stage, everything = stages(text), instructions(text)
    final = by_stage[list(by_stage)[-1]]
    users = [arguments for name, arguments in final if name == "USER"]
    if not users or users[-1] != "10001:10001":
        yield "the last user is not 10001"
    [base] = [arguments for name, arguments in by_stage[""] if name == "ARG"]
    if not PINNED_TAG.fullmatch(base.partition("=")[2]):
        yield "the base has no tag but latest"
    for name, arguments in everything:
        if name == "FROM" and arguments.split()[0] not in ("${BASE}", *by_stage):
            yield "a stage stands on another base"
        if name in ("ADD", "COPY") and ("://" in arguments or name == "ADD"):
            yield "a file is fetched"
        if name in ("ARG", "ENV") and any(SECRET_NAME.search(word.partition("=")[0]) for word in arguments.split()):
            yield "a secret would stay in the image"
        if name == "RUN" and re.search(r"pip install .*\.lock", arguments):
            yield from (
                "a lock is installed without its hashes"
                for part in re.split(r"&&|;", arguments)
                if ".lock" in part
                and "pip install" in part
                and not {"--require-hashes", "--no-deps"} <= set(part.split())
            )
    for stage in (by_stage["system"], final):
        if any(name == "RUN" and BUILD_TOOLS.search(arguments) for name, arguments in stage):
            yield "a build tool is in the final image"
    if any(name == "COPY" and "/opt/build" in arguments for name, arguments in final):
        yield "a build tool is in the final image"
    if ("COPY", "--from=commit /commit /opt/platform/COMMIT") not in final:
        yield "the final image does not need the stage that checks the commit"
    if any("COMMIT" in arguments for name in ("system", "dependencies") for _, arguments in by_stage[name]):
        yield "the environment is built again for every commit"
    if any(name == "ENTRYPOINT" for name, _ in everything):
        yield "Dagster gives pods arguments, which an entry point would swallow"


def test_what_a_run_reads_is_in_the_image() -> None:
    copied = {arguments.split()[0] for name, arguments in stages(DOCKERFILE)["platform"] if name == "COPY"}
    sent = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"platform_assets", "dbt_project", "features"} <= copied & sent
    assert all((REPOSITORY / name).exists() for name in copied)


def test_the_linter_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([hadolint, FOLDER / "Dockerfile"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_promise_is_kept() -> None:
    assert list(broken_promises(DOCKERFILE)) == []


@pytest.mark.parametrize(
    ("promised", "instead", "found"),
    [
        ("USER 10001:10001", "USER root", "the last user is not 10001"),
        ("USER 10001:10001\n", "", "the last user is not 10001"),
        ("BASE=debian:bookworm-slim", "BASE=debian:latest", "the base has no tag but latest"),
        ("BASE=debian:bookworm-slim", "BASE=debian", "the base has no tag but latest"),
        ("FROM system AS final", "FROM debian:12 AS final", "a stage stands on another base"),
        ("COPY deploy/bootstrap.lock", "ADD deploy/bootstrap.lock", "a file is fetched"),
        ('ARG TORCH=""', 'ARG INDEX_PASSWORD=""', "a secret would stay in the image"),
        ("HOME=/opt/dagster \\\n", "PG_PASSWORD=x \\\n", "a secret would stay in the image"),
        ("--require-hashes -r cuda.lock", "-r cuda.lock", "a lock is installed without its hashes"),
        ("--require-hashes -r requirements.lock", "-r requirements.lock", "a lock is installed without its hashes"),
        ("--require-hashes -r bootstrap.lock", "-r bootstrap.lock", "a lock is installed without its hashes"),
        ("libgomp1 python3.11 ", "libgomp1 gcc python3.11 ", "a build tool is in the final image"),
        (
            "COPY --from=dependencies /opt/venv",
            "COPY --from=dependencies /opt/build",
            "a build tool is in the final image",
        ),
        (
            "COPY --from=commit /commit /opt/platform/COMMIT\n",
            "",
            "the final image does not need the stage that checks the commit",
        ),
        ("FROM system AS dependencies\n", "FROM system AS dependencies\nARG COMMIT\n", "built again for every commit"),
        ("CMD [", "ENTRYPOINT [", "an entry point would swallow"),
    ],
)
def test_a_broken_promise_is_found(promised: str, instead: str, found: str) -> None:
    assert promised in DOCKERFILE
    assert any(found in finding for finding in broken_promises(DOCKERFILE.replace(promised, instead)))


@pytest.mark.parametrize("commit", ["", "main", "a" * 39, "a" * 41, "A" * 40, "g" * 40])
def test_a_build_without_a_whole_commit_fails_with_a_sentence(commit: str, tmp_path: Path) -> None:
    result = checked_commit(commit, tmp_path)
    assert result.returncode == 1
    assert f"COMMIT='{commit}' is not the 40 hex digits of a commit" in result.stderr
    assert not (tmp_path / "commit").exists()


def test_a_build_of_a_commit_passes_it_on(tmp_path: Path) -> None:
    assert checked_commit("0123456789abcdef" * 2 + "01234567", tmp_path).returncode == 0
    assert (tmp_path / "commit").read_text().strip() == "0123456789abcdef" * 2 + "01234567"


def checked_commit(commit: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The stage's own command, as the shell of the image runs it."""
    [command] = [arguments for name, arguments in stages(DOCKERFILE)["commit"] if name == "RUN"]
    here = command.replace("> /commit", f"> {folder / 'commit'}")
    return subprocess.run(["/bin/sh", "-c", here], env=os.environ | {"COMMIT": commit}, capture_output=True, text=True)


def test_the_build_sees_only_what_it_copies() -> None:
    rules = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    copied = {
        source.removeprefix("./")
        for name, arguments in instructions(DOCKERFILE)
        if name == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    }
    assert rules[0] == "*"
    admitted = {rule[1:] for rule in rules if rule.startswith("!")}
    assert admitted - {"deploy", "deploy/docker"} == copied
    # A folder that is admitted for one of its files is emptied again first.
    assert {"deploy/*", "deploy/docker/*"} <= set(rules)
    assert all((REPOSITORY / path).exists() for path in copied)


def locked(path: Path) -> dict[str, str]:
    """What is locked: name to version and hashes."""
    blocks = re.split(r"\n(?=\S)", path.read_text().strip())
    return {block.partition("==")[0]: block.partition("==")[2] for block in blocks}


def test_the_image_holds_what_was_tested_and_nothing_for_development() -> None:
    image, development = locked(REPOSITORY / "requirements.lock"), locked(REPOSITORY / "requirements-dev.lock")
    assert all("--hash=sha256:" in block for block in [*image.values(), *development.values()])
    assert not set(image) & set(development), "tests would run with another version than the image's"
    assert {"pytest", "mypy", "ruff", "hypothesis", "playwright", "kubernetes-validate"} <= set(development)
    assert {"dagster-k8s", "dagster-postgres", "nvidia-ml-py", "prometheus-client", "tensorboard"} <= set(image)


def test_torch_for_cuda_is_the_version_that_was_tested_and_adds_only_its_libraries() -> None:
    cuda = locked(FOLDER / "cuda.lock")
    [torch] = re.findall(r"^TORCH \?= torch==(\S+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert cuda["torch"].split()[0] == torch
    assert all("--hash=sha256:" in block for block in cuda.values())
    assert not set(cuda) & set(locked(REPOSITORY / "requirements.lock"))
