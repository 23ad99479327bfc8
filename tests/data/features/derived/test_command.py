"""`platform-assets features suggest` and `check`, in a project with a features folder."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from platform_assets.cli import main
from platform_assets.environment import REPOSITORY, Environment, local_environment
from platform_assets.environment.settings import SETTINGS
from tests.data.features.conftest import CATALOG, publish, rating
from tests.data.features.derived.test_groups import ROLES
from tests.support.running import variables_of


@pytest.fixture
def project(tmp_path: Path) -> Environment:
    """A project whose columns have roles, with ratings of which the later ones are of another genre."""
    environment = local_environment(tmp_path / "data", tmp_path / "project")
    manifest = json.loads((REPOSITORY / "dbt_project" / "target" / "manifest.json").read_bytes())
    for node in manifest["nodes"].values():
        for column, role in ROLES.get(node["name"], {}).items():
            node["columns"][column]["config"] = {"meta": {"platform": {"role": role}}}
    environment.dbt_manifest.parent.mkdir(parents=True)
    (environment.project / SETTINGS).touch()
    environment.dbt_manifest.write_text(json.dumps(manifest))
    rows = [rating(n, n % 12, n % 60, 4, ("Drama",)) for n in range(60)]
    rows += [rating(100 + n, n % 12, 100 + n, 4, ("Sci-Fi",)) for n in range(60)]
    publish(tmp_path / "data", CATALOG, {"ratings": rows, "viewers": []})
    return environment


def run(project: Environment, *arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env=variables_of(project), catch_exceptions=False)


def test_suggest_writes_leading_values_and_check_says_when_the_rest_grows(project: Environment) -> None:
    path = project.project / "features" / "viewer.yaml"
    suggested = run(project, "features", "suggest", "viewer", "--before", "1997-08-01")
    assert suggested.exit_code == 0, suggested.output
    assert "ok ratings.genres: 1 values, 100% of what was counted" in suggested.output
    assert 'genres: {values: ["Drama"], counted_before: 1997-08-01}' in path.read_text()
    checked = run(project, "check")
    assert checked.exit_code == 0, checked.output
    assert "ok features of viewer: " in checked.output
    assert (
        "ratings.genres: 100% of its rows since 1997-08-01 hold none of the leading values, 0% before" in checked.output
    )


def test_check_says_which_values_are_to_be_counted_of_an_entity_that_has_no_file(project: Environment) -> None:
    checked = run(project, "check")
    assert checked.exit_code == 0, checked.output
    assert "ok features of viewer: " in checked.output
    command = "platform-assets features suggest viewer --before DATE"
    assert f"ratings.genres has no leading values yet; write them by `{command}`" in checked.output


def test_check_exits_1_for_a_feature_file_that_cannot_be_honoured(project: Environment) -> None:
    path = project.project / "features" / "viewer.yaml"
    path.parent.mkdir()
    path.write_text("entity: viewer\nfeatures:\n  rating: {}\n")
    checked = run(project, "check")
    assert checked.exit_code == 1
    assert f'!! {path}:3: features.rating: is no mart of viewer; did you mean "ratings"?' in checked.output
    refused = run(project, "features", "suggest", "viewer", "--before", "1997-08-01")
    assert refused.exit_code == 1
    assert "features.rating: is no mart of viewer" in refused.output


def test_suggest_of_an_entity_that_is_not_there_names_the_nearest(project: Environment) -> None:
    refused = run(project, "features", "suggest", "viewers", "--before", "1997-08-01")
    assert "there is no entity 'viewers'; did you mean 'viewer'?" in refused.output
