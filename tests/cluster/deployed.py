"""The platform on the test cluster: the overlay `test` applied, its exports in the emulated bucket, its web server asked.

Belongs here: deploying, launching runs as the UI does, and reading what came of them. Does not belong here: what is
expected of them.
"""

import contextlib
import json
import os
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dagster as dg
import yaml
from dagster import DagsterEventType

from platform_assets.environment import REPOSITORY, Environment
from platform_assets.foundation.storage import files_at
from platform_assets.operations.database import RIGHTS
from tests.cluster.cluster import Cluster

OVERLAY = REPOSITORY / "deploy" / "kubernetes" / "overlays" / "test"
NAMESPACE = "audience-platform"
GRAPHQL = "http://127.0.0.1:3000/graphql"
PAGES = "http://127.0.0.1:3001"
LOCATION = "platform"
STARTS_WITHIN = 180.0
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
REEXECUTE = """
mutation Again($params: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}"""
TERMINATE = """
mutation Cancel($run: String!) {
  terminateRun(runId: $run) { __typename ... on TerminateRunFailure { message } ... on PythonError { message } }
}"""
BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""


LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"


# What is told on the way to the code of a run's first step.
WAY = (
    ("queued", DagsterEventType.RUN_ENQUEUED, ""),
    ("taken from the queue", DagsterEventType.RUN_STARTING, ""),
    ("run pod's process", DagsterEventType.ENGINE_EVENT, "Started process for run"),
    ("run started", DagsterEventType.RUN_START, ""),
    ("first step's Job", DagsterEventType.STEP_WORKER_STARTING, ""),
    ("step pod's process", DagsterEventType.STEP_WORKER_STARTED, ""),
    ("step's code", DagsterEventType.STEP_START, ""),
)


class NotSo(AssertionError):
    """Something that was waited for did not come; the message says what is there instead."""


def until(what: str, condition: Callable[[], Any], seconds: float, pause: float = 0.5) -> Any:
    """The first true value of the condition. Raises NotSo after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise NotSo(f"after {seconds:g} s it is not so that {what}")
        time.sleep(pause)


def repository(location: str) -> dict[str, str]:
    """What selects a code location's definitions in GraphQL."""
    return {"repositoryName": "__repository__", "repositoryLocationName": location}


def variables(pod: Any) -> dict[str, str]:
    """The environment that a pod's manifest gives to its container."""
    return {item.name: item.value for item in pod.spec.containers[0].env}


@dataclass
class Deployed:
    """The platform on a cluster.

    Attributes:
        environment: where its data lies, as this process sees it.
        instance: Dagster's, opened on the cluster's PostgreSQL.
        overlay: the folder with the kustomization that was applied.
    """

    cluster: Cluster
    environment: Environment
    instance: dg.DagsterInstance
    overlay: Path

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The one answer of a GraphQL operation."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(GRAPHQL, body, {"Content-Type": "application/json"})
        try:
            answer = urllib.request.urlopen(request, timeout=120)
        except urllib.error.HTTPError as refused:
            # Beside a PythonError, which says what was wrong, Dagster's status is 500.
            answer = refused
        with answer:
            told = json.load(answer)
        assert "errors" not in told, told["errors"]
        (result,) = told["data"].values()
        return result

    def launch(
        self,
        job: str,
        partition: str | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
        location: str = LOCATION,
        **config: Any,
    ) -> str:
        """Launch a job of a code location through the web server, as its button does; the run's id."""
        tags = dict(tags) | ({"dagster/partition": partition} if partition else {})
        params = {
            "selector": {**repository(location), "jobName": job},
            "runConfigData": config,
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        return self._run_of(self.ask(LAUNCH, params=params))

    def launch_assets(
        self, keys: Sequence[str], partition: str | None = None, tags: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        """Materialise assets by their `a/b/c` keys, as the asset graph's button does; the run's id."""
        tags = dict(tags) | ({"dagster/partition": partition} if partition else {})
        params = {
            "selector": {
                **repository(LOCATION),
                "jobName": "__ASSET_JOB",
                "assetSelection": [{"path": key.split("/")} for key in keys],
            },
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        return self._run_of(self.ask(LAUNCH, params=params))

    def again(self, run: str, strategy: str) -> str:
        """Execute a run again: FROM_FAILURE or ALL_STEPS; the new run's id."""
        return self._run_of(self.ask(REEXECUTE, params={"parentRunId": run, "strategy": strategy}))

    def backfill(self, keys: Sequence[str], partitions: Sequence[str]) -> str:
        params = {"assetSelection": [{"path": key.split("/")} for key in keys], "partitionNames": list(partitions)}
        return str(self.ask(BACKFILL, params=params)["backfillId"])

    def cancel(self, run: str) -> None:
        told = self.ask(TERMINATE, run=run)
        assert told["__typename"] == "TerminateRunSuccess", told

    def serves(self, location: str) -> bool:
        """Whether the web server answers, and has loaded this code location."""
        try:
            told = self.ask(LOCATIONS)
        except OSError:
            return False
        entries = {entry["name"]: entry["locationOrLoadError"] or {} for entry in told["locationEntries"]}
        return entries.get(location, {}).get("__typename") == "RepositoryLocation"

    def status(self, run: str) -> str:
        found = self.instance.get_run_by_id(run)
        assert found is not None
        return found.status.value

    def ends(self, run: str, seconds: float) -> str:
        """Wait until a run has ended; its status."""
        return str(until(f"run {run} has ended", lambda: (now := self.status(run)) in ENDED and now, seconds))

    def succeeds(self, run: str, seconds: float = 900) -> None:
        """Wait for a run's success. Raises NotSo with what its log says went wrong."""
        ended = self.ends(run, seconds)
        if ended != "SUCCESS":
            raise NotSo(f"run {run} ended with {ended}:\n{self.told(run)}")

    def told(self, run: str, last: int = 40) -> str:
        """The end of a run's log, for the message of a failure."""
        lines = []
        for entry in self.instance.all_logs(run):
            event = entry.dagster_event
            error = getattr(event.event_specific_data, "error", None) if event else None
            lines.append(
                f"{entry.timestamp:.1f} {entry.step_key or ''} {event.message if event else entry.message} {error or ''}"
            )
        return "\n".join(lines[-last:])

    def pods(self, run: str, component: str = "step_worker") -> list[Any]:
        """The pods of a run that are there now."""
        selector = f"dagster/run-id={run},app.kubernetes.io/component={component}"
        return list(self.cluster.core.list_namespaced_pod(NAMESPACE, label_selector=selector).items)

    def templates(self, run: str, component: str = "step_worker") -> list[Any]:
        """What the pods of a run were made from; Jobs outlive pods, which go with a node that falls silent."""
        selector = f"dagster/run-id={run},app.kubernetes.io/component={component}"
        jobs = self.cluster.batch.list_namespaced_job(NAMESPACE, label_selector=selector).items
        return [job.spec.template for job in jobs]

    def jobs(self) -> set[str]:
        """The names of the Jobs that are there now."""
        return {job.metadata.name for job in self.cluster.batch.list_namespaced_job(NAMESPACE).items}

    def holders(self, pool: str) -> set[str]:
        """The runs that hold a slot of a pool."""
        info = self.instance.event_log_storage.get_concurrency_info(pool)
        return {slot.run_id for slot in info.claimed_slots}

    def delete(self, kind: str, name: str, *options: str) -> None:
        """Delete an object that may be gone by now, without waiting for it."""
        self.cluster.kubectl("delete", kind, name, "-n", NAMESPACE, "--ignore-not-found", "--wait=false", *options)

    def computed(self, run: str) -> list[str]:
        """The steps of a run that made something rather than find it, once for each time they did."""
        made = []
        for entry in self.instance.all_logs(run, of_type=DagsterEventType.STEP_OUTPUT):
            assert entry.dagster_event is not None
            found = entry.dagster_event.step_output_data.metadata.get("cache")
            made += [str(entry.step_key)] if found is not None and found.value == "miss" else []
        return made

    def starts(self, run: str) -> list[str]:
        """The steps of a run, once for each time they started."""
        kinds = {DagsterEventType.STEP_START, DagsterEventType.STEP_RESTARTED}
        return [str(entry.step_key) for entry in self.instance.all_logs(run, of_type=kinds)]

    def moments(self, run: str) -> list[tuple[str, float]]:
        """When a run came how far on the way to the code of its first step, in seconds since it was launched."""
        found: dict[str, float] = {}
        for entry in self.instance.all_logs(run):
            kind = entry.dagster_event.event_type if entry.dagster_event else None
            said = entry.dagster_event.message if entry.dagster_event else ""
            for what, of_kind, begins in WAY:
                if kind == of_kind and (said or "").startswith(begins):
                    found.setdefault(what, entry.timestamp)
        began = found["queued"]
        return [(what, found[what] - began) for what, *_ in WAY]

    def step_seconds(self, run: str) -> list[tuple[str, float, float, float]]:
        """For each step that was started once: its key, and seconds from its Job to its pod's process, to its code, to its end."""
        events: dict[str, dict[DagsterEventType, list[float]]] = {}
        for entry in self.instance.all_logs(run):
            if entry.step_key and entry.dagster_event:
                of_step = events.setdefault(entry.step_key, {})
                of_step.setdefault(entry.dagster_event.event_type, []).append(entry.timestamp)
        kinds = DagsterEventType
        way = (kinds.STEP_WORKER_STARTING, kinds.STEP_WORKER_STARTED, kinds.STEP_START, kinds.STEP_SUCCESS)
        once = {step: of for step, of in events.items() if all(len(of.get(kind, ())) == 1 for kind in way)}
        moments = {step: [of[kind][0] for kind in way] for step, of in once.items()}
        return [(step, b - a, c - b, d - c) for step, (a, b, c, d) in moments.items()]

    def left_over(self) -> list[str]:
        """What runs have left behind: pods and Jobs that may still do something, leases and slots in a pool."""
        pods = self.cluster.core.list_namespaced_pod(NAMESPACE, label_selector="dagster/run-id").items
        jobs = self.cluster.batch.list_namespaced_job(NAMESPACE, label_selector="dagster/run-id").items
        storage = self.instance.event_log_storage
        slots = [(key, storage.get_concurrency_info(key)) for key in sorted(storage.get_concurrency_keys())]
        return [
            *(f"pod {pod.metadata.name}" for pod in pods if pod.status.phase in ("Pending", "Running")),
            *(f"job {job.metadata.name}" for job in jobs if job.status.active),
            *(f"lease {name}" for name in files_at(self.environment.artifacts).names("leases")),
            *(f"slot of {key}" for key, info in slots for _ in (*info.claimed_slots, *info.pending_steps)),
        ]

    def _run_of(self, told: dict[str, Any]) -> str:
        assert told["__typename"] == "LaunchRunSuccess", told
        return str(told["run"]["runId"])


@contextlib.contextmanager
def deployed(
    cluster: Cluster, environment: Environment, folder: Path, variables: Mapping[str, str]
) -> Iterator[Deployed]:
    """Apply the test overlay and wait until it serves; at the end everything it made is deleted.

    Args:
        folder: for the kustomization and Dagster's home of this process; not below /tmp, which pods do not see.
        variables: of `platform-environment`, beside those of the overlay.
    """
    password = secrets.token_hex(16)
    literals = [f"{name}={value}" for name, value in variables.items()]
    (folder / "overlay").mkdir(parents=True)
    write_overlay(
        folder / "overlay",
        OVERLAY,
        configMapGenerator=[{"name": "platform-environment", "behavior": "merge", "literals": literals}],
        secretGenerator=[
            _secret("owner", "dagster", password),
            *(_secret(role, f"dagster_{role}", secrets.token_hex(16)) for role in RIGHTS),
        ],
        generatorOptions={"disableNameSuffixHash": True},
    )
    cluster.kubectl("apply", "-k", str(folder / "overlay"))
    try:
        for what in ("statefulset/postgres", "deployment/code-platform", "deployment/dagster-webserver",
                     "deployment/dagster-daemon", "deployment/janitor", "deployment/pages"):  # fmt: skip
            cluster.kubectl("rollout", "status", what, "-n", NAMESPACE, f"--timeout={STARTS_WITHIN:g}s")
        with dg.DagsterInstance.from_config(str(_write_home(folder / "home", password))) as instance:
            made = Deployed(cluster, environment, instance, folder / "overlay")
            until("the web server answers", lambda: made.serves(LOCATION), STARTS_WITHIN)
            yield made
    finally:
        cluster.kubectl("delete", "-k", str(folder / "overlay"), "--timeout=120s")


def write_overlay(folder: Path, base: Path, **fields: Any) -> None:
    """A kustomization over the one in the folder `base`, with these fields of its own."""
    header = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": NAMESPACE}
    kustomization = header | {"resources": [os.path.relpath(base, folder)]} | fields
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")


def _secret(role: str, username: str, password: str) -> dict[str, Any]:
    return {"name": f"postgres-{role}", "literals": [f"username={username}", f"password={password}"]}


def _write_home(folder: Path, password: str) -> Path:
    folder.mkdir()
    database = {
        "hostname": "127.0.0.1", "port": 5432, "username": "dagster", "password": password, "db_name": "dagster",
        "scheme": "postgresql+psycopg2",
    }  # fmt: skip
    home = {"telemetry": {"enabled": False}, "storage": {"postgres": {"postgres_db": database}}}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(home))
    return folder
