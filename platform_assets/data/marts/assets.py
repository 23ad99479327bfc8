"""The Dagster face of the dbt project: models and tests as assets and checks, built and published by one op.

Belongs here: asset keys, groups, metadata, and handing the op's outcome to Dagster. Does not belong here: any
decision (`build`). `dagster_dbt` runs dbt (`dbt`) but does not declare the assets: importing it takes longer than all
other definitions together, and its assets publish before their tests, where these are held back until all passed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from platform_assets.data.catalog.catalog import Catalog, read_manifest
from platform_assets.data.engines.engine import Engine
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.exports.export import table_of
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.marts.graph import Model, ProjectGraph, Test
from platform_assets.environment import Environment, EnvironmentVariableError

OP_NAME = "dbt_build"


def transform_assets(environment: Environment, sources: Mapping[str, ExportSourceSpec]) -> dg.AssetsDefinition:
    """All models as assets (`staging/<model>`, `marts/<mart>`) and their tests as checks, in one op that can be subset.

    Args:
        sources: what is declared of the exports that they read.

    Raises:
        ManifestMissing: dbt has not parsed its project yet; says which command does.
        CatalogError, ProjectError: a model's declaration cannot be worked with.
        EnvironmentVariableError: a class of sensitive columns has no policy tag in Google Cloud.
    """
    manifest = read_manifest(environment.dbt_manifest)
    graph = ProjectGraph.from_manifest(manifest)
    engine = open_engine(environment)
    _require_policy_tags(engine, graph)
    catalog = Catalog.from_nodes(manifest)

    @dg.multi_asset(
        name=OP_NAME,
        specs=[
            _asset_spec(model, graph, engine.name, _files_of(model, manifest, environment))
            for model in graph.models.values()
        ],
        check_specs=[_check_spec(test, graph) for model in graph.models.values() for test in model.tests],
        can_subset=True,
    )
    def dbt_build(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield from _run(context, graph, catalog, environment, sources)

    return dbt_build


def _require_policy_tags(engine: Engine, graph: ProjectGraph) -> None:
    """Refuse to build sensitive columns that an engine could protect and nothing would."""
    if engine.restricted is None:
        return
    for model in graph.models.values():
        for column in model.columns:
            if unnamed := [tag for tag in column.policy_tags if tag not in engine.restricted]:
                raise EnvironmentVariableError(
                    f"PLATFORM_POLICY_TAGS names no policy tag for {unnamed[0]!r}, the class of {model.name}.{column.name}; "
                    f"add {unnamed[0]}=projects/…/locations/…/taxonomies/…/policyTags/…"
                )


def model_key(model: Model) -> dg.AssetKey:
    """The asset key of a model."""
    return dg.AssetKey([model.layer, model.name])


def _run(
    context: dg.AssetExecutionContext,
    graph: ProjectGraph,
    catalog: Catalog,
    environment: Environment,
    sources: Mapping[str, ExportSourceSpec],
) -> Iterator[Any]:
    from platform_assets.data.catalog.pointer import MartDamaged
    from platform_assets.data.exports.export import ExportError
    from platform_assets.data.marts.build import CheckOutcome, RawTableEmpty, TransformFailed, waiting
    from platform_assets.data.marts.dbt import DbtError
    from platform_assets.data.marts.gate import ExportsDiffer, build
    from platform_assets.data.marts.opening import open_gate, open_transform

    checks = context.op_execution_context.selected_asset_check_keys
    assets = context.selected_asset_keys
    transform = open_transform(environment, graph, catalog)
    gate = open_gate(environment, graph, sources)

    def selected(outcomes: list[CheckOutcome]) -> Iterator[dg.AssetCheckResult]:
        for outcome in outcomes:
            key = model_key(graph.models[outcome.model])
            if dg.AssetCheckKey(key, outcome.name) in checks and outcome.status != "skipped":
                yield _check_result(key, outcome)

    engine = open_engine(environment).name
    held_up: dict[str, str] = {}
    stopped: ExportsDiffer | None = None
    try:
        chosen = [model.name for model in graph.models.values() if model_key(model) in assets]
        # Checks started without their model: the model is built and tested aside, and stays unpublished.
        alone = {key.asset_key.path[-1] for key in checks} - set(chosen)
        held_up = waiting(transform, {*chosen, *alone})
        try:
            outcomes = build(transform, gate, [name for name in chosen if name not in held_up])
        except ExportsDiffer as error:
            outcomes, stopped = error.outcomes, error
        try:
            tested = build(transform, gate, alone - set(held_up), publish=False)
        except ExportsDiffer as error:
            tested, stopped = error.outcomes, stopped or error
    except TransformFailed as error:
        yield from selected(list(error.checks.values()))
        raise dg.Failure("\n".join([str(error), *_held_up(held_up)]), allow_retries=False) from error
    except (DbtError, ExportError, MartDamaged, RawTableEmpty) as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    for outcome in outcomes.values():
        yield dg.MaterializeResult(
            asset_key=model_key(graph.models[outcome.name]),
            metadata=_metadata(outcome, transform.versions) | _lineage(context, outcome, graph, engine),
            data_version=dg.DataVersion(outcome.data_version),
        )
    yield from selected([check for outcome in (*outcomes.values(), *tested.values()) for check in outcome.checks])
    if reasons := [*_held_up(held_up), *([str(stopped)] if stopped else [])]:
        raise dg.Failure("\n".join(reasons), allow_retries=False)


def _held_up(reasons: Mapping[str, str]) -> list[str]:
    """In words what could not be built for want of an export; what could be, was."""
    return [f"{name} was not built: {reason}" for name, reason in reasons.items()]


def _files_of(model: Model, manifest: Mapping[str, Any], environment: Environment) -> dg.CodeReferencesMetadataValue:
    """A model's SQL, and the YAML that describes it."""
    described = str(manifest["nodes"][model.unique_id].get("patch_path") or "").partition("://")[2]
    files = [environment.dbt_project / path for path in (model.path, described) if path]
    return dg.CodeReferencesMetadataValue(
        code_references=[dg.LocalFileCodeReference(file_path=str(file)) for file in files]
    )


def _asset_spec(model: Model, graph: ProjectGraph, engine: str, files: dg.CodeReferencesMetadataValue) -> dg.AssetSpec:
    parents = [model_key(graph.models[name]) for name in sorted(model.models)]
    raw = [dg.AssetKey(key) for key in sorted({("raw", source, table_of(table)) for source, table in model.sources})]
    return dg.AssetSpec(
        key=model_key(model),
        deps=[*raw, *parents],
        description=model.description,
        group_name=model.layer,
        kinds={"dbt", engine},
        owners=[model.owner],
        code_version=model.code_version,
        skippable=True,
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [
                    dg.TableColumn(
                        column.name,
                        column.type or "unspecified",
                        column.description,
                        tags={"policy_tag": ", ".join(column.policy_tags)} if column.policy_tags else None,
                    )
                    for column in model.columns
                ]
            ),
            "dagster/code_references": files,
        },
    )


def _check_spec(test: Test, graph: ProjectGraph) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=test.name,
        asset=model_key(graph.models[test.model]),
        description=test.description or None,
        blocking=test.severity == "error",
        metadata={"severity": test.severity},
    )


def _check_result(key: dg.AssetKey, outcome: Any) -> dg.AssetCheckResult:
    details: dict[str, Any] = {"status": outcome.status, "seconds": round(outcome.seconds, 3)}
    if outcome.failures is not None:
        details["failing_rows"] = outcome.failures
    if not outcome.passed and outcome.message:
        details["message"] = outcome.message
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=outcome.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR if outcome.severity == "error" else dg.AssetCheckSeverity.WARN,
        metadata=details,
    )


def _metadata(outcome: Any, versions: Any) -> dict[str, Any]:
    details: dict[str, Any] = {
        "cache": "hit" if outcome.hit else "miss",
        "cache_reason": outcome.reason,
        "seconds_saved" if outcome.hit else "seconds_spent": round(outcome.seconds, 3),
    }
    if outcome.stands_on:
        details["stands_on"] = "\n".join(str(export) for export in outcome.stands_on)
    table = outcome.table
    if table is None:
        return details
    details |= {
        "dagster/row_count": table.rows,
        "version": table.version,
        "location": dg.MetadataValue.path(versions.where(table)),
        "watermark": dg.MetadataValue.timestamp(table.watermark),
    }
    for name, instant in (("first_event", table.first_event), ("last_event", table.last_event)):
        if instant is not None:
            details[name] = dg.MetadataValue.timestamp(instant)
    return details


def _lineage(context: dg.AssetExecutionContext, outcome: Any, graph: ProjectGraph, engine: str) -> dict[str, Any]:
    """From which columns of its direct parents a model's columns are made."""
    from platform_assets.data.marts.lineage import column_origins

    try:
        origins = column_origins(graph.models[outcome.name], graph, outcome.compiled, engine)
    except Exception as error:  # as dagster-dbt does: what is built and tested stands, whatever sqlglot cannot read
        context.log.warning(
            f"{outcome.name}: its column lineage is not known: sqlglot stopped with {type(error).__name__}"
        )
        return {}
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(
                        dg.AssetKey(["raw", one.source, table_of(one.table)])
                        if one.source
                        else model_key(graph.models[one.table]),
                        one.column,
                    )
                    for one in made_of
                ]
                for column, made_of in origins.items()
            }
        )
    }
