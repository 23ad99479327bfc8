"""BigQuery's side of reading the published marts for others than the platform's own steps: queries, and no table of one's own.

Belongs here: refusing what would write. Does not belong here: what the steps read by (`reading`), and who may read what, which
BigQuery itself holds people to.
"""

from typing import TYPE_CHECKING, NoReturn

from platform_assets.data.engines.bigquery.reading import BigQueryWarehouse
from platform_assets.data.engines.reading import QueryFailed

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa


_NO_TABLE = (
    "rows of one's own cannot be joined in BigQuery by a reader: they would become a table there. Read the marts' rows first, and "
    "join them here"
)


class ReadOnlyWarehouse(BigQueryWarehouse):
    """The published marts in BigQuery, as of its first use; it makes no table."""

    def memtable(self, table: "pa.Table") -> NoReturn:
        raise QueryFailed(_NO_TABLE)

    def to_arrow(self, expression: "ibis.Expr") -> "pa.Table":
        import ibis.expr.operations as ops

        if expression.op().find(ops.InMemoryTable):
            raise QueryFailed(_NO_TABLE)
        return super().to_arrow(expression)
