"""Building models: which are unchanged, one dbt run for the others, the audit, and publishing in one step.

Belongs here: the decision what to build and what to publish, as plain functions. Does not belong here: Dagster (`assets`),
the dbt process (`dbt`), how versions are written (`engines`).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.catalog.pointer import MartStore, PublishedTable
from platform_assets.data.catalog.standing import Standing, StandsOn
from platform_assets.data.engines.dbt_project import DbtProject
from platform_assets.data.engines.raw_tables import RawTable, RawTables, exports_hash, in_order, watermark
from platform_assets.data.engines.versions import Versions
from platform_assets.data.exports.chain import chain_of
from platform_assets.data.exports.export import holds_changes, table_of
from platform_assets.data.marts.dbt import NodeResult, project_hash, run_build
from platform_assets.data.marts.graph import Model, ProjectGraph, Severity
from platform_assets.foundation.artifacts import ArtifactStore, Recipe, code_of

RECORD = "model.json"
# (source, table) → the exports loaded of it, oldest first.
Exports = Mapping[tuple[str, str], list[RawTable]]
# dbt's name of a model or test → what came of it.
Results = Mapping[str, NodeResult]
_NOT_RUN = NodeResult("", "skipped", 0.0, None, "dbt did not run it", "")


class RawTableEmpty(LookupError):
    """Nothing is loaded of a raw table that a model reads."""


class TransformFailed(RuntimeError):
    """The audit of a build failed: nothing was published, and the marts concerned are refused to readers.

    Attributes:
        checks: what came of every test that belongs to a model asked for, by (model, test).
    """

    def __init__(self, message: str, checks: Mapping[tuple[str, str], "CheckOutcome"]) -> None:
        super().__init__(message)
        self.checks = dict(checks)


@dataclass(frozen=True)
class CheckOutcome:
    """What came of one test.

    Attributes:
        status: pass | warn | fail | error | skipped.
        failures: rows that failed it; None for unit tests and tests that did not run.
    """

    model: str
    name: str
    severity: Severity
    status: str
    failures: int | None
    seconds: float
    message: str

    @property
    def passed(self) -> bool:
        return self.status == "pass"

    @property
    def blocks(self) -> bool:
        """Whether it keeps its model from being published."""
        return self.severity == "error" and not self.passed


@dataclass(frozen=True)
class ModelOutcome:
    """What came of one model that was asked for.

    Attributes:
        name: the model.
        data_version: changes with its content (marts) or with its SQL and raw tables (staging views).
        hit: whether it was found as recorded, with its tests, rather than built.
        reason: why, in words.
        seconds: what building and testing it took, when that was done.
        checks: its tests.
        table: the published version; None for staging views.
        stands_on: the newest export of each raw table upstream of it.
        compiled: the SQL that made it.
    """

    name: str
    data_version: str
    hit: bool
    reason: str
    seconds: float
    checks: tuple[CheckOutcome, ...]
    table: PublishedTable | None
    stands_on: tuple[StandsOn, ...] = ()
    compiled: str = ""


@dataclass(frozen=True)
class Transform:
    """Everything a build works with.

    Attributes:
        raw: where the exports are loaded.
        versions: how the engine writes versions of marts.
    """

    graph: ProjectGraph
    catalog: Catalog
    project: DbtProject
    raw: RawTables
    versions: Versions
    marts: MartStore
    artifacts: ArtifactStore


def build(transform: Transform, selection: Iterable[str], publish: bool = True) -> dict[str, ModelOutcome]:
    """Bring models up to date and publish the marts among them.

    Models whose project, raw tables and engine are as recorded are not built again. The others are built and
    tested in one dbt run, together with what stands upstream of them. Unless a test of severity `error`
    fails, all marts asked for become current in one step.

    Args:
        transform: what to work with.
        selection: names of models.
        publish: False builds and tests, and leaves what is published, and what is refused, as it is.

    Returns:
        Model name → what came of it.

    Raises:
        TransformFailed: a model or a test of severity `error` failed; no mart was published, those concerned are refused to
            readers.
        RawTableEmpty: nothing is loaded of a raw table that one of them reads; see `waiting`.
        RawTableDamaged: a file of a raw table is not what was loaded; dbt was not started.
        DbtError: dbt could not run at all.
    """
    wanted = set(selection)
    models = [model for name, model in transform.graph.models.items() if name in wanted]
    exports = _exports(transform, models)
    recipes = _recipes(transform, models, exports)
    outcomes = {
        name: outcome
        for name, recipe in recipes.items()
        if (outcome := _recall(transform, recipe))
        and (outcome.table is None or transform.versions.is_written(outcome.table))
    }
    misses = [model for model in models if model.name not in outcomes]
    if misses:
        outcomes |= _make(transform, misses, exports, recipes, publish)
    outcomes = {
        model.name: replace(outcomes[model.name], stands_on=_stands_on(transform.graph, model, exports))
        for model in models
    }
    if publish:
        _publish(transform, outcomes.values())
    return outcomes


def waiting(transform: Transform, selection: Iterable[str]) -> dict[str, str]:
    """Of some models those that cannot be built, because nothing is loaded of a raw table they read, and why."""
    names = [name for name in transform.graph.models if name in set(selection)]
    exports = _loaded(transform, names)
    return {name: reason for name in names if (reason := _why_waiting(transform, name, exports))}


def watermarks_of(catalog: Catalog, exports: Exports, marts: Iterable[str]) -> dict[str, datetime]:
    """Mart → UTC instant before which the exports of every raw table upstream of it cover everything.

    Of a table that is read by its incremental exports too, that is where its chain ends.
    """
    covered = {name: _chained(exports, catalog.mart(name).sources) for name in marts}
    return {name: min(watermark(raw) for raw in tables.values() if raw) for name, tables in covered.items()}


def _chained(exports: Exports, tables: Iterable[tuple[str, str]]) -> Exports:
    """(source, declared table) → the exports of some raw tables that tell what it holds."""
    names: dict[tuple[str, str], set[str]] = {}
    for source, table in tables:
        names.setdefault((source, table_of(table)), set()).add(table)
    chained: dict[tuple[str, str], list[RawTable]] = {}
    for (source, declared), read in names.items():
        known = [raw for table in sorted(read) for raw in exports[source, table]]
        if any(holds_changes(table) for table in read):
            links = {link.export_id for link in chain_of(known).links}
            known = [raw for raw in known if raw.export_id in links] or known
        chained[source, declared] = in_order(known)
    return chained


def _exports(transform: Transform, models: Iterable[Model]) -> Exports:
    """The exports of every raw table upstream of the models, all of which can be built."""
    names = [model.name for model in models]
    exports = _loaded(transform, names)
    for name in names:
        if reason := _why_waiting(transform, name, exports):
            raise RawTableEmpty(reason)
    return exports


def _loaded(transform: Transform, names: Iterable[str]) -> Exports:
    return transform.raw.loaded({table for name in names for table in transform.graph.upstream_sources(name)})


def _why_waiting(transform: Transform, name: str, exports: Exports) -> str:
    """Why a model cannot be built; empty when it can.

    One that reads the record of exports alone can be built from the first export of any table on.
    """
    # A table of which nothing changed yet, or that is exported in full alone, has no incremental exports.
    upstream = {table for table in transform.graph.upstream_sources(name) if not holds_changes(table[1])}
    empty = sorted(table for table in upstream if not exports[table])
    if not empty or (not transform.graph.read_sources(name) and len(empty) < len(upstream)):
        return ""
    source, table = empty[0]
    more = f" (and of {len(empty) - 1} more)" if len(empty) > 1 else ""
    return (
        f"raw table {source}.{table}: no export in {transform.raw.record(source, table)}{more}; materialise "
        f"raw/{source}/{table} first: its check says why no export was loaded"
    )


def _stands_on(graph: ProjectGraph, model: Model, exports: Exports) -> tuple[StandsOn, ...]:
    chained = _chained(exports, graph.upstream_sources(model.name))
    newest = [known[-1] for _, known in sorted(chained.items()) if known]
    return tuple(StandsOn(raw.source, table_of(raw.table), raw.export_id, raw.exported_at) for raw in newest)


def _recipes(transform: Transform, models: Iterable[Model], exports: Exports) -> dict[str, Recipe]:
    code = code_of(__name__) | {name: metadata.version(name) for name in transform.project.distributions}
    project = project_hash(transform.project)
    return {
        model.name: Recipe(
            key=f"transform/{model.layer}/{model.name}",
            code=code,
            config={"model": model.name, **transform.project.settings},
            inputs={
                "dbt project": project,
                **{
                    f"raw/{source}/{table}": exports_hash(exports[source, table])
                    for source, table in transform.graph.upstream_sources(model.name)
                },
            },
        )
        for model in models
    }


def _make(
    transform: Transform,
    models: list[Model],
    exports: Exports,
    recipes: Mapping[str, Recipe],
    publish: bool,
) -> dict[str, ModelOutcome]:
    names = [model.name for model in models]
    transform.raw.require_whole(exports)
    with transform.versions.building():
        results = run_build(transform.project, transform.graph.closure(names))
        _audit(transform, models, results, publish)
        marts = [transform.catalog.mart(model.name) for model in models if model.layer == "marts"]
        watermarks = watermarks_of(transform.catalog, exports, [mart.name for mart in marts])
        written = transform.versions.write(marts, watermarks)
    tables = {table.name: table for table in written}
    outcomes: dict[str, ModelOutcome] = {}
    for model in models:
        result, checks = results[model.unique_id], _checks(model, results)
        table = tables.get(model.name)
        outcome = ModelOutcome(
            name=model.name,
            data_version=table.content_hash if table else _version_of_view(result, recipes[model.name]),
            hit=False,
            reason="",
            seconds=result.seconds + sum(check.seconds for check in checks),
            checks=checks,
            table=table,
            compiled=result.compiled,
        )
        outcomes[model.name] = _record(transform.artifacts, recipes[model.name], outcome)
    return outcomes


def _audit(transform: Transform, models: Iterable[Model], results: Results, publish: bool) -> None:
    reasons = {model.name: reason for model in models if (reason := _why_not(transform.graph, model, results))}
    if not reasons:
        return
    for model in models:
        if publish and model.layer == "marts" and model.name in reasons:
            transform.marts.refuse([model.name], reasons[model.name])
    sentences = "\n".join(f"{name}: {reason}" for name, reason in reasons.items())
    of_tests = {(check.model, check.name): check for model in models for check in _checks(model, results)}
    raise TransformFailed(f"nothing was published, because of {len(reasons)} models:\n{sentences}", of_tests)


def _why_not(graph: ProjectGraph, model: Model, results: Results) -> str:
    """Why a model must not be published; empty when it may be."""
    checks = _checks(model, results)
    failed = [check for check in checks if check.blocks and check.status != "skipped"]
    if failed:
        rows = f" ({failed[0].failures} failing rows)" if failed[0].failures else ""
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"its last build failed dbt test {failed[0].name}{rows}{more}"
    result = results[model.unique_id]
    if result.status == "error":
        return f"its last build failed: {result.message.strip()}"
    if result.status == "success":
        unrun = [check.name for check in checks if check.blocks]
        return f"dbt test {unrun[0]} did not run in its last build" if unrun else ""
    for name in graph.closure([model.name]):
        if name != model.name and (reason := _why_not(graph, graph.models[name], results)):
            return f"its last build stopped at {name}: {reason}"
    return f"dbt skipped it in its last build: {result.message}"


def _checks(model: Model, results: Results) -> tuple[CheckOutcome, ...]:
    pairs = ((test, results.get(test.unique_id, _NOT_RUN)) for test in model.tests)
    return tuple(
        CheckOutcome(test.model, test.name, test.severity, ran.status, ran.failures, ran.seconds, ran.message)
        for test, ran in pairs
    )


def _version_of_view(result: NodeResult, recipe: Recipe) -> str:
    inputs = sorted((name, value) for name, value in recipe.inputs.items() if name.startswith("raw/"))
    return hashlib.sha256(json.dumps([result.compiled, inputs]).encode()).hexdigest()


def _record(artifacts: ArtifactStore, recipe: Recipe, outcome: ModelOutcome) -> ModelOutcome:
    record = {
        "data_version": outcome.data_version,
        "seconds": outcome.seconds,
        "checks": [asdict(check) for check in outcome.checks],
        "table": outcome.table.to_json() if outcome.table else None,
        "compiled": outcome.compiled,
    }

    def write(folder: Path) -> Mapping[str, Any]:
        (folder / RECORD).write_text(json.dumps({"model": outcome.name, "data_version": outcome.data_version}))
        return record

    artifact = artifacts.get_or_build(recipe, write)
    reason = "its published files were gone or damaged" if artifact.hit else artifact.reason
    return replace(outcome, reason=reason)


def _recall(transform: Transform, recipe: Recipe) -> ModelOutcome | None:
    artifact = transform.artifacts.find(recipe.fingerprint)
    if artifact is None:
        return None
    record = artifact.metadata
    table = PublishedTable.from_json(record["table"]) if record["table"] else None
    return ModelOutcome(
        name=artifact.ref.key.rpartition("/")[2],
        data_version=record["data_version"],
        hit=True,
        reason=artifact.reason,
        seconds=record["seconds"],
        checks=tuple(CheckOutcome(**check) for check in record["checks"]),
        table=table,
        compiled=record["compiled"],
    )


def _publish(transform: Transform, outcomes: Iterable[ModelOutcome]) -> None:
    published = [(outcome.table, outcome.stands_on) for outcome in outcomes if outcome.table is not None]
    tables = [table for table, _ in published]
    pointer = transform.marts.pointer()
    changed = [table for table in tables if pointer.tables.get(table.name) != table or table.name in pointer.refused]
    Standing(transform.marts.root).record(published)
    if changed:
        transform.marts.publish(changed)
    transform.versions.published(tables)
