"""What people declare and cannot be honoured: it is told with its place, and takes down nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from platform_assets.campaigns.declaration.parsing import DeclarationError
from platform_assets.definitions import build_definitions
from platform_assets.environment import REPOSITORY, Environment, Scope, local_environment
from tests.support.declared import GOOD, with_campaigns, write_declaration
from tests.support.running import Platform, failures_of, jobs_in, keys


@pytest.fixture
def one_broken(environment: Environment) -> Environment:
    """Three campaigns, of which `silent` has a typo in its fourth line."""
    silent = GOOD.replace("  description:", "  descripton:")
    return with_campaigns(environment, {"first": GOOD, "silent": silent, "third": GOOD})


def test_one_broken_file_shows_as_failing_and_leaves_the_others_alone(one_broken: Environment) -> None:
    place = one_broken.campaigns / "silent" / "defs.yaml"
    sentence = f'{place}:4: descripton: is not a field here; did you mean "description"?'
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform.of(one_broken, instance)
        found = keys(platform.definitions)
        assert {"first/ensemble", "third/ensemble", "third/scores", "silent/definition"} <= found
        assert not {key for key in found if key.startswith("silent/")} - {"silent/definition"}
        asset = platform.definitions.resolve_asset_graph().get(dg.AssetKey(["silent", "definition"]))
        assert asset.group_name == "broken_campaigns"
        assert sentence in str(asset.description)

        result = platform.materialize("silent/definition")
        assert not result.success
        assert sentence in failures_of(result)["silent__definition"]
        checks = platform.check("silent/definition")
        (check,) = checks.get_asset_check_evaluations()
        assert not check.passed
        assert sentence in str(check.description)


def test_a_strict_load_stops_at_a_broken_file(one_broken: Environment) -> None:
    strict = local_environment(
        one_broken.data, dbt_project=one_broken.dbt_project, campaigns=one_broken.campaigns, strict=True
    )
    with pytest.raises(DeclarationError, match=r"silent/defs\.yaml:4: descripton: is not a field here"):
        build_definitions(strict)


BROKEN_TEXTS = {
    "an alias of itself": "type: platform_assets.components.Campaign\nattributes: &a {description: *a}\n",
    "aliases of aliases": "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 24)),
    "depth": "[" * 100_000,
    "size": "# " + "x" * 200_000,
    "a tag": GOOD.replace("10%", "!!int ten"),
    "more digits than Python reads": GOOD.replace("10%", "9" * 5000),
    "an owner that Dagster refuses": GOOD.replace("crm@example.com", "jürgen@example.com"),
    "a model named as Dagster names something": GOOD + "  advanced: {models: {class: {family: lightgbm}}}\n",
    "a lone surrogate": GOOD + '  value: "\\ud800"\n',
    "nothing": "",
    "a comment alone": "# to come\n",
    "a list": "- type: x\n",
    "not yaml": "type: [\n",
    "tabs": "type: platform_assets.components.Campaign\nattributes:\n\towner: a@b.c\n",
    "another type": GOOD.replace("components.Campaign", "components.Campagin"),
    "no attributes": "type: platform_assets.components.Campaign\n",
    "attributes of another shape": "type: platform_assets.components.Campaign\nattributes: [1, 2]\n",
    "a key twice": GOOD + "  entity: viewer\n",
    "a key that is a list": GOOD + "  ? [a, b]\n  : 1\n",
    "two documents": GOOD + "---\n" + GOOD,
    "an unknown entity": GOOD.replace("entity: customer", "entity: custommer"),
    "an unknown event": GOOD.replace("event: orders", "event: order"),
    "a field that nothing honours": GOOD + "  channel: mail\n",
}


@pytest.mark.parametrize("text", BROKEN_TEXTS.values(), ids=BROKEN_TEXTS)
def test_no_broken_text_takes_the_load_down(environment: Environment, text: str) -> None:
    given = with_campaigns(environment, {"good": GOOD, "broken": text})
    definitions = build_definitions(given)
    assert {"good/ensemble", "broken/definition"} <= keys(definitions)
    broken = definitions.resolve_asset_graph().get(dg.AssetKey(["broken", "definition"]))
    assert f"{given.campaigns / 'broken' / 'defs.yaml'}:" in str(broken.description)


def test_a_file_that_is_not_text_takes_nothing_down(environment: Environment) -> None:
    given = with_campaigns(environment, {"good": GOOD, "broken": ""})
    (given.campaigns / "broken" / "defs.yaml").write_bytes(GOOD.replace("likely", "fähig").encode("latin-1"))
    assert {"good/ensemble", "broken/definition"} <= keys(build_definitions(given))


@pytest.mark.parametrize("name", ["café", "Winter Sale", "2024", "a-b", "x" * 80, "class", "context"])
def test_a_campaign_s_name_that_cannot_be_used_takes_nothing_down(environment: Environment, name: str) -> None:
    definitions = build_definitions(with_campaigns(environment, {"good": GOOD, name: GOOD}))
    dg.Definitions.validate_loadable(definitions)
    graph = definitions.resolve_asset_graph()
    broken = [key for key in graph.get_all_asset_keys() if graph.get(key).group_name == "broken_campaigns"]
    assert len(broken) == 1
    assert "the folder's name is the campaign's" in str(graph.get(broken[0]).description)
    assert "good/ensemble" in keys(definitions)


def test_two_broken_names_that_look_alike_both_show(environment: Environment) -> None:
    definitions = build_definitions(
        with_campaigns(environment, dict.fromkeys(("a-b", "a b", "a_b"), "type: nothing\n"))
    )
    assert len([key for key in keys(definitions) if key.endswith("/definition")]) == 3


def with_a_broken_source(environment: Environment) -> Environment:
    """The repository's sources, of which the shop's has a typo in its fifth line."""
    folder = environment.data / "sources"
    for name in ("shop", "movies"):
        text = (REPOSITORY / "defs" / "sources" / name / "defs.yaml").read_text(encoding="utf-8")
        write_declaration(folder, name, text.replace("format: aurora", "format: aurrora"))
    return replace(environment, sources=folder)


def test_a_broken_source_is_told_and_leaves_other_sources_marts_and_campaigns_alone(environment: Environment) -> None:
    given = with_a_broken_source(environment)
    sentence = f"{given.sources / 'shop' / 'defs.yaml'}:5: format: 'aurrora_snapshot' is not one of"
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform.of(given, instance)
        graph = platform.definitions.resolve_asset_graph()
        assert graph.executable_asset_keys >= {
            dg.AssetKey(path.split("/"))
            for path in ("raw/movies/ratings", "marts/orders", "winback/promoted_model", "scifi_fans/promoted_model")
        }
        assert not [key for key in graph.executable_asset_keys if key.path[:2] == ["raw", "shop"]]
        broken = dg.AssetKey(["sources", "shop", "definition"])
        assert graph.get(broken).group_name == "broken_sources"
        assert sentence in failures_of(platform.materialize("sources/shop/definition"))["sources__shop__definition"]
        assert broken in jobs_in(platform.definitions)["refresh_marts"].asset_layer.selected_asset_keys
        (check,) = platform.check("sources/shop/definition").get_asset_check_evaluations()
        assert not check.passed


def test_a_strict_load_stops_at_a_broken_source_with_its_file_and_line(environment: Environment) -> None:
    with pytest.raises(DeclarationError, match=r"shop/defs\.yaml:5: format: "):
        build_definitions(replace(with_a_broken_source(environment), strict=True))


def with_broken_features(environment: Environment, folder: Path) -> Environment:
    """The repository's marts and campaigns, in a project that names a mart which viewers do not have."""
    (folder / "features").mkdir(parents=True)
    (folder / "features" / "viewer.yaml").write_text("entity: viewer\nfeatures:\n  rating: {}\n", encoding="utf-8")
    for file in REPOSITORY.glob("features/*.py"):
        shutil.copy(file, folder / "features")
    shutil.copytree(REPOSITORY / "dbt_project", folder / "dbt_project")
    return replace(environment, project=folder)


def test_a_broken_feature_file_is_told_and_refuses_the_campaigns_of_its_entity_alone(
    environment: Environment, tmp_path: Path
) -> None:
    given = with_broken_features(environment, tmp_path / "project")
    sentence = f"{given.project / 'features' / 'viewer.yaml'}:3: features.rating: is no mart of viewer"
    with dg.DagsterInstance.ephemeral() as instance:
        platform = Platform.of(given, instance)
        graph = platform.definitions.resolve_asset_graph()
        assert dg.AssetKey(["winback", "promoted_model"]) in graph.executable_asset_keys
        assert dg.AssetKey(["scifi_fans", "promoted_model"]) not in graph.executable_asset_keys
        assert graph.get(dg.AssetKey(["features", "viewer", "definition"])).group_name == "broken_features"
        failures = failures_of(platform.materialize("features/viewer/definition", "scifi_fans/definition"))
        assert len(failures) == 2
        assert all(sentence in said for said in failures.values())


def test_a_strict_load_stops_at_a_broken_feature_file_with_its_line(environment: Environment, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"features/viewer\.yaml:3: features\.rating"):
        build_definitions(replace(with_broken_features(environment, tmp_path / "project"), strict=True))


def test_a_campaign_alone_needs_no_source_file(environment: Environment) -> None:
    alone = replace(with_a_broken_source(environment), strict=True, scope=Scope(frozenset({"winback"}), shared=False))
    assert "winback/promoted_model" in keys(build_definitions(alone))


@pytest.mark.parametrize("name", ["my-shop", "Shop", "class"])
def test_a_source_s_name_that_cannot_be_used_takes_nothing_down(environment: Environment, name: str) -> None:
    given = with_a_broken_source(environment)
    (given.sources / "shop").rename(given.sources / name)
    loaded = build_definitions(given)
    dg.Definitions.validate_loadable(loaded)
    assert "raw/movies/ratings" in keys(loaded)
