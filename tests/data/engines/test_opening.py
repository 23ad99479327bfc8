"""One place chooses the engine, and either answers everything that is asked of it."""

from datetime import UTC, datetime
from pathlib import Path

import platform_assets.data.engines as engines
from platform_assets.data.engines.engine import AudienceTable
from platform_assets.data.engines.opening import open_engine
from platform_assets.environment import Cloud, cloud_environment, local_environment

PARTS = {"engine.py", "raw_tables.py", "staging.py", "reading.py", "read_only.py", "versions.py"}
CLOUD = Cloud("a-project", "a-bucket", policy_tags=(("personal", "projects/p/locations/l/taxonomies/1/policyTags/2"),))


def test_both_engines_keep_the_same_parts_in_files_of_the_same_names() -> None:
    room = Path(engines.__file__).parent
    files = [{path.name for path in (room / engine).glob("*.py")} for engine in ("duckdb", "bigquery")]
    # BigQuery answers for its own files.
    assert files[0] - {"__init__.py", "checksums.py"} == PARTS
    assert files[1] >= PARTS


def test_where_nothing_is_to_be_made_duckdb_says_so(tmp_path: Path) -> None:
    engine = open_engine(local_environment(tmp_path / "data"))
    table = AudienceTable("winback", "Lapsed customers.", {"customer_id": "The person."})
    assert engine.publish_audience(table, tmp_path / "none.parquet", "", datetime(1998, 1, 1, tzinfo=UTC)) is None
    assert (list(engine.prepare()), list(engine.places())) == ([], [])
    assert not (tmp_path / "data").exists()


def test_only_google_s_bigquery_keeps_classes_of_columns_apart(tmp_path: Path) -> None:
    emulated, real = (cloud_environment(name, CLOUD, tmp_path) for name in ("emulated", "gcp"))
    assert open_engine(local_environment(tmp_path)).restricted is None
    assert open_engine(emulated).restricted is None
    assert open_engine(real).restricted == {"personal"}


def test_dbt_is_told_the_settings_that_results_depend_on(tmp_path: Path) -> None:
    local, real = local_environment(tmp_path), cloud_environment("gcp", CLOUD, tmp_path)
    for environment in (local, real):
        dbt = open_engine(environment).dbt
        assert dbt.folder == environment.dbt_project
        assert dbt.settings.items() <= dbt.variables.items()
    assert {"PLATFORM_PROJECT", "PLATFORM_STAGE", "PLATFORM_POLICY_TAG_PERSONAL"} == set(dbt.settings)
