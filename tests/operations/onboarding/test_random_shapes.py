"""Whatever a table looks like, `source add` writes what builds and passes its tests, or refuses in a sentence."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from platform_assets.components.loading import read_source_files
from platform_assets.data.catalog.catalog import Catalog
from platform_assets.data.engines.duckdb.raw_tables import FolderTables
from platform_assets.data.engines.opening import open_engine
from platform_assets.data.marts.dbt import run_build
from platform_assets.data.raw.discover import load_source
from platform_assets.operations.onboarding.tables import OnboardingError
from tests.operations.onboarding.conftest import Project
from tests.operations.onboarding.shapes import SHAPES, Shape

EXAMPLES = 30
pytestmark = pytest.mark.slow


def test_what_is_written_for_random_tables_builds_and_passes_its_tests(tmp_path: Path) -> None:
    project = Project.empty(tmp_path)
    added: list[str] = []
    refused: list[str] = []

    # Nothing is shrunk: sources add up in one project, which is built once.
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(SHAPES)
    def add(shape: Shape) -> None:
        source = f"s{len(added) + len(refused)}"
        if shape.layout == "aurora":
            project.aurora(source, {"things": pa.table(dict(shape.columns))})
        else:
            project.dynamodb(source, "things", shape.items)
        try:
            project.add(source)
            added.append(source)
        except OnboardingError as error:
            refused.append(str(error))

    add()
    assert len(added) >= EXAMPLES // 3, refused
    assert all(sentence.endswith(".") for sentence in refused)
    environment = project.environment
    raw = FolderTables(environment.raw)
    for file in read_source_files(environment.sources):
        assert file.spec is not None, file.error
        assert not load_source(file.spec, file.name, environment.exports, raw).set_aside
    dbt = open_engine(environment).dbt
    models = [path.stem for path in dbt.folder.glob("models/**/*.sql")]
    results = run_build(dbt, models)
    broken = {name: result.message for name, result in results.items() if result.status in ("error", "fail", "skipped")}
    assert not broken
    Catalog.from_manifest(dbt.target / "manifest.json")
