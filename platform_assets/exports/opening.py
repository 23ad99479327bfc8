"""Where an environment keeps its raw tables: the one place that chooses.

Belongs here: the choice. Does not belong here: any engine.
"""

from typing import TYPE_CHECKING

from platform_assets.exports.raw import RawTables

if TYPE_CHECKING:
    from platform_assets.environment import Environment


def open_raw_tables(environment: "Environment") -> RawTables:
    """The raw tables of an environment; nothing is connected before the first use."""
    if environment.cloud is None:
        from platform_assets.exports.folder_tables import FolderTables

        return FolderTables(environment.raw)
    from platform_assets.exports.bigquery_tables import BigQueryTables
    from platform_assets.warehouse.bigquery.connection import BigQuery

    return BigQueryTables(BigQuery(environment.cloud))
