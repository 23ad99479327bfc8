"""What is watched is really exported, and every alert fires when it should and only then.

promtool judges the alerts; no server is started. gcc builds the stand-in of the GPU driver.
"""

import csv
import json
import re
import subprocess
import urllib.request
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import dagster as dg
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from platform_assets.operations.janitor.prometheus import Metrics
from tests.deploy.manifests import KUBERNETES, Manifest, kustomize
from tests.foundation.gpus.nvml_stand_in import built_in
from tests.support.processes import run_python

pytestmark = pytest.mark.programs("kubectl", "promtool", "gcc")

MONITORING = KUBERNETES / "monitoring"
CASES = Path(__file__).with_name("alert_cases.yaml")
# What others export, and where they say so.
OTHERS = {
    "kube_pod_status_phase": "https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/workload/pod-metrics.md",
}
# What comes beside a value that is shown.
BESIDE = ("_sum", "_count", "_created")
# Of PromQL, not of a metric: https://prometheus.io/docs/prometheus/latest/querying/operators/
WORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "group_left", "group_right"}


@cache
def rendered() -> list[Manifest]:
    return kustomize(MONITORING)


def named(kind: str, name: str) -> Manifest:
    (found,) = [item for item in rendered() if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    return found


def alerts() -> dict[str, str]:
    rule = named("PrometheusRule", "audience-platform")
    return {rule["alert"]: rule["expr"] for group in rule["spec"]["groups"] for rule in group["rules"]}


def panels() -> dict[str, list[str]]:
    dashboard = json.loads(named("ConfigMap", "platform-dashboard")["data"]["dashboard.json"])
    return {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in dashboard["panels"]}


def metrics_in(expression: str) -> set[str]:
    """The names of metrics that a PromQL expression asks for."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', " ", expression)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b(?!\s*\()", bare)) - WORDS


def samples_of(page: str) -> set[str]:
    """The names under which a page of metrics can show values, with or without any yet."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    families = list(text_string_to_metric_families(page))
    return {family.name + suffix for family in families for suffix in suffixes.get(family.type, ("",))}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The names that each of ours exports, read from the pages it really serves."""
    with dg.DagsterInstance.ephemeral() as instance:
        server, thread = Metrics(instance, datetime.now(UTC)).serve("127.0.0.1", 0)
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as answer:
            janitor = samples_of(answer.read().decode())
        server.shutdown()
        server.server_close()
        thread.join()
    code = """
import time, urllib.request
from platform_assets.foundation.gpus.use import gpu_use
from tests.support.processes import free_port
port = free_port()
with gpu_use("spring", "fold_0", port, bind="127.0.0.1") as use:
    while not use.samples and not use.problem:
        time.sleep(0.01)
    print(urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode())
"""
    driver = built_in(tmp_path_factory.mktemp("driver"))
    page = run_python("-c", code, variables={"LD_LIBRARY_PATH": str(driver)}).stdout
    fields = named("ConfigMap", next(n for n in _names("ConfigMap") if n.startswith("dcgm-metrics")))["data"]
    rows = csv.reader(line for line in fields["dcgm-metrics.csv"].splitlines() if not line.startswith("#"))
    dcgm = {row[0] for row in rows}
    return {"janitor": janitor, "step": samples_of(page), "dcgm": dcgm}


def _names(kind: str) -> list[str]:
    return [item["metadata"]["name"] for item in rendered() if item["kind"] == kind]


def test_every_metric_that_a_panel_or_an_alert_asks_for_is_exported(exported: dict[str, set[str]]) -> None:
    known = set().union(*exported.values(), OTHERS)
    asked = [*alerts().items(), *((title, expr) for title, exprs in panels().items() for expr in exprs)]
    missing = {where: metrics_in(expr) - known for where, expr in asked if metrics_in(expr) - known}
    assert missing == {}
    assert all(metrics_in(expr) for _, expr in asked)


def test_what_we_export_is_shown_or_alerts(exported: dict[str, set[str]]) -> None:
    asked = set().union(*map(metrics_in, [*alerts().values(), *(e for exprs in panels().values() for e in exprs)]))
    unseen = {name for name in exported["janitor"] if name not in asked and not name.endswith(BESIDE)}
    assert unseen == set()


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (campaign) (increase(a_total{spot="true"}[1h])) > 10', {"a_total"}),
        ("time() - b > 300 or absent(b)", {"b"}),
        ("histogram_quantile(0.5, sum by (le) (rate(c_bucket[1h])))", {"c_bucket"}),
        ("d < e and f > 0", {"d", "e", "f"}),
    ],
)
def test_metrics_are_found_in_expressions(expression: str, names: set[str]) -> None:
    assert metrics_in(expression) == names


def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(named("PrometheusRule", "audience-platform")["spec"]))
    cases = yaml.safe_load(CASES.read_text())
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"]} | cases))
    told = subprocess.run(["promtool", "test", "rules", "cases.yaml"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("fires", [True, False], ids=["firing", "not firing"])
def test_every_alert_has_a_case_of_it(fires: bool) -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires} == set(alerts())


def test_an_alert_says_what_is_so_and_what_to_do() -> None:
    groups = named("PrometheusRule", "audience-platform")["spec"]["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert set(rule["annotations"]) == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]


def test_only_the_exporter_is_privileged_and_it_has_no_rights_in_the_cluster() -> None:
    pods = [item for item in rendered() if item["kind"] in ("DaemonSet", "Deployment", "StatefulSet", "Job", "Pod")]
    (exporter,) = pods
    assert exporter["metadata"]["namespace"] == "gpu-monitoring"
    assert exporter["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    assert not [item for item in rendered() if item["kind"].endswith(("Role", "RoleBinding"))]
    mounts = exporter["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert all(mount["readOnly"] for mount in mounts)


def test_the_exporter_runs_where_the_profiles_have_gpus_and_tolerates_what_their_nodes_bear() -> None:
    from platform_assets.environment import PACKAGE
    from platform_assets.foundation.execution.profiles import GPU, SPOT_TAINTS, read_profiles

    pools = {
        profile.pool
        for profile in read_profiles(PACKAGE / "foundation" / "execution" / "profiles.yaml").values()
        if profile.gpus
    }
    pod = named("DaemonSet", "dcgm-exporter")["spec"]["template"]["spec"]
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (expression,) = required["nodeSelectorTerms"][0]["matchExpressions"]
    assert set(expression["values"]) == pools
    assert {GPU, *SPOT_TAINTS} == {toleration["key"] for toleration in pod["tolerations"]}


def test_prometheus_asks_where_the_janitor_and_the_steps_answer() -> None:
    from tests.deploy.manifests import of_kind, overlay

    (container,) = of_kind(overlay("gke"), "Deployment")["janitor"]["spec"]["template"]["spec"]["containers"]
    (endpoint,) = named("PodMonitor", "janitor")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in container["ports"]}
    steps = of_kind(overlay("gke"), "ConfigMap")["platform-environment"]["data"]["PLATFORM_METRICS_PORT"]
    (endpoint,) = named("PodMonitor", "gpu-steps")["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"][-1]["replacement"] == f"$1:{steps}"
