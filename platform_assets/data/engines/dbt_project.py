"""How dbt is led to an engine.

Belongs here: what an engine tells of itself to whoever runs dbt. Does not belong here: an engine, or running dbt
(`marts.dbt`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DbtProject:
    """A dbt project and the engine to build it on.

    Attributes:
        folder: the dbt project, profiles included.
        work: what dbt writes while it runs; not the project's own target folder, whose manifest others read.
        variables: the environment variables that its profile and macros read.
        settings: those of them that results depend on.
        distributions: packages that results depend on.
    """

    folder: Path
    work: Path
    variables: Mapping[str, str]
    settings: Mapping[str, str]
    distributions: tuple[str, ...]

    @property
    def target(self) -> Path:
        """dbt's compiled SQL, logs and results."""
        return self.work / "target"
