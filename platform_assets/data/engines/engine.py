"""An engine: everything the platform asks of where data is kept and queried.

Belongs here: the interface, and what is handed over through it. Does not belong here: an engine (`duckdb`, `bigquery`),
which one it is (`opening`), or what stands behind a part of it (`raw_tables`, `reading`, `versions`, `dbt_project`).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.engines.dbt_project import DbtProject
from platform_assets.data.engines.profiles import RawProfiles
from platform_assets.data.engines.raw_tables import RawTables
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.engines.versions import Versions


@dataclass(frozen=True)
class AudienceTable:
    """A campaign's table of audiences.

    Attributes:
        columns: column → what it means; the first is the entity's key.
    """

    campaign: str
    description: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Readiness:
    """How one place that the platform needs stands, such as a dataset or a bucket.

    Attributes:
        good: whether the platform can work with it.
        found: made, found, changed, or what is wrong.
        remedy: what to do about it, where `found` does not say so.
    """

    what: str
    good: bool
    found: str
    remedy: str = ""


class Engine(ABC):
    """One engine in one environment. Nothing is connected before the first use.

    Attributes:
        name: what Dagster shows its tables as.
        raw: the raw tables.
        profiles: what is known of their contents.
        versions: the writer of versions of marts.
        dbt: the dbt project, led to this engine.
        restricted: the classes of sensitive columns that only some may read; None where the engine keeps none apart.
    """

    name: str
    raw: RawTables
    profiles: RawProfiles
    versions: Versions
    dbt: DbtProject
    restricted: frozenset[str] | None = None

    @abstractmethod
    def warehouse(self, catalog: Catalog, source: str) -> Warehouse:
        """A view of the published marts, as of its first use.

        Args:
            source: what reads, for cost attribution where queries cost something.
        """

    @abstractmethod
    def reading(self, catalog: Catalog, source: str) -> Warehouse:
        """The same for others than the platform's own steps: nothing that it hands out can write, or waits for a lock."""

    def publish_audience(self, audience: AudienceTable, file: Path, url: str, as_of: datetime) -> str | None:
        """Make one date's audience a slice of the campaign's table, beside its published files.

        Args:
            file: the audience as Parquet.
            url: where the same file is published.
            as_of: the instant that all its rows bear.

        Returns:
            The table's name; None where the published file is the table.
        """
        return None

    def prepare(self) -> Iterable[Readiness]:
        """Make the places that are missing, and say of each what was done; none where they are made when needed."""
        return ()

    def places(self) -> Iterable[Readiness]:
        """Say of the places that `prepare` makes how they stand; changes nothing."""
        return ()
