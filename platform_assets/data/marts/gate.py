"""What may be built at all: a model is not, while a raw table that it reads differs too much from the exports before.

Belongs here: which models are stopped by which export, and refusing their marts. Does not belong here: what is a difference
(`raw.comparison`), and the build (`build`), whose results do not depend on what was held back.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from platform_assets.data.marts import build as building
from platform_assets.data.marts.build import ModelOutcome, Transform
from platform_assets.data.marts.graph import ProjectGraph
from platform_assets.data.raw.comparison.history import Histories, Judged

# A staging model that calls one of these macros, and none of the others, reads its table as it is now alone.
_NOW = {"is_in_latest_export", "dynamodb_items"}
_EVERY = {"is_in_loaded_export", "dynamodb_versions", "dynamodb_first_items", "dynamodb_contradictions"}


class ExportsDiffer(RuntimeError):
    """An export differs too much from those before: nothing was built from it, and the marts concerned are refused to readers.

    Attributes:
        outcomes: what came of the models that do not read it.
    """

    def __init__(self, message: str, outcomes: Mapping[str, ModelOutcome]) -> None:
        super().__init__(message)
        self.outcomes = dict(outcomes)


class Gate:
    """Which models exports hold up.

    Args:
        manifest: dbt's, which says how staging models pick exports.
    """

    def __init__(self, graph: ProjectGraph, manifest: Mapping[str, Any], histories: Histories) -> None:
        self._graph, self._histories = graph, histories
        self._newest_alone = {
            node["name"]
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and _reads_newest_alone(node["depends_on"].get("macros", ()))
        }

    def stopped(self, models: Iterable[str]) -> dict[str, str]:
        """Model → why it may not be built, for those that may not.

        Raises:
            ExportError: what is known of the exports cannot be read.
        """
        judged: dict[tuple[str, str, bool], list[Judged]] = {}
        stopped: dict[str, str] = {}
        for name in models:
            reads = self._reads(name)
            for source, table, every in reads:
                if (source, table, every) not in judged:
                    judged[source, table, every] = self._histories.of(source, table).stopping(every)
            # Another table's reason is a reason of its own; the same export's is told once.
            reasons = dict.fromkeys(each.why() for read in reads for each in judged[read])
            if reasons:
                stopped[name] = "\n".join(reasons)
        return stopped

    def _reads(self, name: str) -> list[tuple[str, str, bool]]:
        """(source, table, whether all of its exports) of what a model and its tests read."""
        models = [self._graph.models[each] for each in self._graph.closure([name])]
        return sorted({(*table, model.name not in self._newest_alone) for model in models for table in model.sources})


def build(transform: Transform, gate: Gate, selection: Iterable[str], publish: bool = True) -> dict[str, ModelOutcome]:
    """Build as `build.build` does, but not from exports that differ too much from those before them.

    Raises:
        ExportsDiffer: some models were stopped; the others were built first.
        Whatever `build.build` raises.
    """
    wanted = list(selection)
    stopped = gate.stopped(wanted)
    for name, reason in stopped.items():
        if publish and transform.graph.models[name].layer == "marts":
            transform.marts.refuse([name], f"it was not built from an export that differs too much:\n{reason}")
    outcomes = building.build(transform, [name for name in wanted if name not in stopped], publish)
    if not stopped:
        return outcomes
    reasons: dict[str, list[str]] = {}
    for name, reason in stopped.items():
        reasons.setdefault(reason, []).append(name)
    sentences = "\n".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    raise ExportsDiffer(f"not built, because an export differs too much from those before:\n{sentences}", outcomes)


def _reads_newest_alone(macros: Iterable[str]) -> bool:
    names = {macro.rpartition(".")[2] for macro in macros}
    return bool(names & _NOW) and not names & _EVERY
