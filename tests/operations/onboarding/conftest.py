"""A project without sources, and exports to add to it."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from platform_assets.cli import main
from platform_assets.environment import REPOSITORY, Environment, local_environment
from platform_assets.operations.onboarding.adding import Proposed, propose
from platform_assets.operations.onboarding.tables import Wishes, refuse
from platform_assets.operations.onboarding.writing.files import changes_of, write
from samples.aurora_export import write_aurora_export
from samples.dynamodb_export import Item, export_id, write_dynamodb_export
from tests.support.running import variables_of

AT = datetime(2024, 1, 1, tzinfo=UTC)
_STG_EXPORTS = """\
version: 2
models:
  - name: stg_exports
    description: The exports that were loaded.
"""


@dataclass(frozen=True)
class Project:
    """A project in a folder, and the exports below its data."""

    environment: Environment

    @classmethod
    def empty(cls, folder: Path) -> "Project":
        dbt = folder / "dbt_project"
        shutil.copytree(REPOSITORY / "dbt_project", dbt, ignore=shutil.ignore_patterns("target", "logs", "models"))
        staging = dbt / "models" / "staging"
        staging.mkdir(parents=True)
        shutil.copyfile(REPOSITORY / "dbt_project/models/staging/stg_exports.sql", staging / "stg_exports.sql")
        (staging / "staging.yml").write_text(_STG_EXPORTS)
        places = {name: folder / name for name in ("sources", "campaigns")}
        for place in places.values():
            place.mkdir()
        return cls(local_environment(folder / "data", dbt_project=dbt, **places))

    def aurora(self, source: str, tables: Mapping[str, pa.Table], at: datetime = AT) -> None:
        named = {f"app.{name}": rows for name, rows in tables.items()}
        write_aurora_export(Path(self.environment.exports) / source, f"{source}-{at:%Y%m%d}", "app", named, at)

    def dynamodb(self, source: str, table: str, items: Sequence[Item], at: datetime = AT) -> None:
        exports = Path(self.environment.exports)
        write_dynamodb_export(exports, table, export_id(table, at), items, at, prefix=source, files=2)

    def propose(self, source: str, **wishes: Any) -> Proposed:
        """What is proposed where nobody can be asked."""
        return propose(self.environment, source, source, Wishes(**wishes), refuse)

    def add(self, source: str, **wishes: Any) -> Proposed:
        """Propose, and write it."""
        proposed = self.propose(source, **wishes)
        write(changes_of(self.environment, proposed.plan, proposed.place, "team:crm", proposed.only))
        return proposed

    def command(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
        for name, value in variables_of(self.environment).items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(main, ["source", "add", *arguments])

    def files(self) -> dict[str, str]:
        """Every file of sources and models, by its path."""
        folders = (self.environment.sources, self.environment.dbt_project / "models")
        return {str(path): path.read_text() for folder in folders for path in folder.rglob("*") if path.is_file()}

    def model(self, name: str) -> str:
        (path,) = self.environment.dbt_project.glob(f"models/*/*/{name}.sql")
        return path.read_text()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.empty(tmp_path)
