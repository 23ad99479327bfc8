"""The run launcher that dagster.yaml names: `PodRunLauncher` where a process may launch, and one that refuses where not.

Dagster makes the run launcher in every process that opens the instance. Step pods and code locations launch nothing, have
no credentials for Kubernetes, and are spared importing its client, which is a third of what a step pod costs to start.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagster import Permissive

from platform_assets.foundation.dagster_internals.core import (
    ConfigurableClass,
    ConfigurableClassData,
    LaunchRunContext,
    RunLauncher,
    checked_config,
)

# Where Kubernetes puts a pod's credentials, unless its manifest says that it has none.
TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class LaunchesNothing(RuntimeError):
    """A process without credentials for Kubernetes was asked to launch or end a run."""


class PlatformRunLauncher(RunLauncher, ConfigurableClass):
    """Takes the configuration of dagster-k8s' `K8sRunLauncher`."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()

    @classmethod
    def config_type(cls) -> Any:
        # The schema itself is in dagster-k8s; it is applied where the launcher is real.
        return Permissive()

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> RunLauncher:  # type: ignore[override]
        """The launcher of this process.

        Raises:
            DagsterInvalidConfigError: the configuration is not one of `K8sRunLauncher`.
        """
        if config_value.get("load_incluster_config", True) and not TOKEN.exists():
            return cls(inst_data)
        from platform_assets.foundation.execution.pod_launcher import PodRunLauncher

        checked = checked_config(PodRunLauncher, config_value, "run_launcher in dagster.yaml:")
        return PodRunLauncher.from_config_value(inst_data, checked)

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @property
    def supports_resume_run(self) -> bool:
        return True

    def launch_run(self, context: LaunchRunContext) -> None:
        raise LaunchesNothing(_REFUSED.format(what=f"launch run {context.dagster_run.run_id}"))

    def terminate(self, run_id: str) -> bool:
        raise LaunchesNothing(_REFUSED.format(what=f"end run {run_id}"))


_REFUSED = f"cannot {{what}}: this pod has no credentials for Kubernetes ({TOKEN} is not there); the daemon and the web server have"
