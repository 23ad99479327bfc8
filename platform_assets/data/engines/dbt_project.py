"""How dbt is led to an engine.

Belongs here: what an engine tells of itself to whoever runs dbt. Does not belong here: an engine, or running dbt
(`marts.dbt`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platform_assets.environment import PACKAGE


@dataclass(frozen=True)
class DbtProject:
    """A dbt project and the engine to build it on.

    Attributes:
        folder: the dbt project.
        work: what dbt writes while it runs; not the project's own target folder, whose manifest others read.
        variables: the environment variables that its profile and macros read.
        settings: those of them that results depend on.
        distributions: packages that results depend on.
        shared: macros, generic tests and a profile for every project.
    """

    folder: Path
    work: Path
    variables: Mapping[str, str]
    settings: Mapping[str, str]
    distributions: tuple[str, ...]
    shared: Path = PACKAGE / "dbt"

    @property
    def target(self) -> Path:
        """dbt's compiled SQL, logs and results."""
        return self.work / "target"

    @property
    def profiles(self) -> Path:
        """The folder of the `profiles.yml` in use: the project's own where it has one."""
        return self.folder if (self.folder / "profiles.yml").is_file() else self.shared

    @property
    def environment(self) -> Mapping[str, str]:
        """Everything that dbt is told by environment variables."""
        return {**self.variables, "PLATFORM_DBT_SHARED": str(self.shared)}
