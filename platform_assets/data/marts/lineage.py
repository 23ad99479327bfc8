"""From which columns a model's columns are made, out of the SQL that dbt ran.

Belongs here: reading that SQL with sqlglot, as dagster-dbt does. Its own function is not used: it finds no source behind a
file function such as `read_parquet`, no attribute inside a DynamoDB item, and nothing at all once the compiled file is gone.
Does not belong here: building, Dagster. Loads sqlglot, so only steps import it. Holds names, never values.
"""

from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.lineage import lineage

from platform_assets.data.marts.graph import Model, ProjectGraph

# The raw column of DynamoDB tables; its attributes are what people know.
_ITEM = "item"


@dataclass(frozen=True)
class Origin:
    """A column that another is made from: of a model, or of a raw table (`source` set)."""

    table: str
    column: str
    source: str | None = None


def column_origins(model: Model, graph: ProjectGraph, compiled: str, dialect: str) -> dict[str, list[Origin]]:
    """Column → the columns of direct parents that its value is made from, sorted.

    Args:
        compiled: the model's SQL as dbt ran it.
        dialect: the engine's name.

    Raises whatever sqlglot does at SQL that it cannot read.
    """
    return _origins(sqlglot.parse_one(compiled, dialect=dialect), model, graph, dialect)


def _origins(parsed: exp.Expr, model: Model, graph: ProjectGraph, dialect: str) -> dict[str, list[Origin]]:
    parents = {name.lower(): Origin(name, "") for name in model.models}
    parents |= {f"{source}__{table}".lower(): Origin(table, "", source) for source, table in model.sources}
    named = _with_attributes(_with_plain_tables(parsed, model))
    schema = {
        name: {column.name: column.type or "unknown" for column in graph.models[name].columns} for name in model.models
    }
    # Nothing declares what a raw table holds: whatever is read may be of it.
    read = {column.name: "unknown" for column in named.find_all(exp.Column)}
    schema |= {name: read for name in parents if name not in schema}
    origins = {}
    for column, root in lineage(None, named, schema, dialect=dialect).items():
        leaves = (node for node in root.walk() if not node.downstream and isinstance(node.expression, exp.Table))
        made_of = {
            Origin(parent.table, exp.to_column(leaf.name).name, parent.source)
            for leaf in leaves
            if (parent := parents.get(leaf.expression.name.lower()))
        }
        origins[column] = sorted(made_of, key=lambda one: (one.source or "", one.table, one.column))
    return origins


def _with_plain_tables(parsed: exp.Expr, model: Model) -> exp.Expr:
    """The same with each table under its bare name, `source__table` for raw ones, wherever an engine keeps it."""
    raw = {f"/{source}/{table}/": f"{source}__{table}" for source, table in model.sources}

    def plain(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Table):
            return node
        files = " ".join(literal.name for literal in node.this.find_all(exp.Literal))
        name = next((known for part, known in raw.items() if part in files), node.name)
        if not name:
            return node
        table = exp.Table(this=exp.to_identifier(name.lower()))
        table.set("alias", node.args.get("alias"))
        return table

    return parsed.transform(plain)


def _with_attributes(parsed: exp.Expr) -> exp.Expr:
    """The same with a column for each attribute that is read out of a DynamoDB item."""

    def attribute(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar | exp.JSONExtractArray):
            item, path = node.this, node.expression
            if isinstance(item, exp.Column) and item.name.lower() == _ITEM and isinstance(path, exp.JSONPath):
                first = next((part.this for part in path.expressions if isinstance(part, exp.JSONPathKey)), None)
                if isinstance(first, str):
                    return exp.column(exp.to_identifier(first, quoted=True), table=item.args.get("table"))
        return node

    return parsed.transform(attribute)
