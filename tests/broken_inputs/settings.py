"""Settings with which nothing can be started."""

from pathlib import Path

from platform_assets.environment import Scope
from tests.broken_inputs.world import Broken, World, emptied


def variable(what: str, name: str, value: str, *names: str) -> Broken:
    return Broken(
        what, lambda _: None, lambda world: world.said_by_command("check", variables={name: value}), (name, *names)
    )


def profiles(world: World) -> Path:
    path = world.answered.folder / "profiles.yaml"
    path.write_text("cpu: {cpus: many}\n", encoding="utf-8")
    return path


def manifest(world: World) -> Path:
    path = world.answered.folder / "dbt_project" / "target" / "manifest.json"
    path.parent.mkdir(parents=True)
    return emptied(path)


ROWS = (
    variable("a time zone that does not exist", "PLATFORM_TIMEZONE", "Europe/Berlim", "Europe/Berlin"),
    variable("a variable that does not exist", "PLATFORM_DATE", "x", "PLATFORM_DATA"),
    Broken(
        "a scope that names no campaign",
        lambda _: None,
        lambda world: world.said_by_load(scope=Scope(frozenset({"nobody"}))),
        ("PLATFORM_SCOPE", "nobody"),
    ),
    variable("an environment that does not exist", "PLATFORM_ENV", "azure", "gcp"),
    variable("a count that is none", "PLATFORM_SCORING_SHARDS", "-1"),
    variable("the cloud without its project", "PLATFORM_ENV", "gcp", "PLATFORM_PROJECT"),
    Broken(
        "resource profiles that cannot be read",
        profiles,
        lambda world: world.said_by_command(
            "check", variables={"PLATFORM_PROFILES": str(world.answered.folder / "profiles.yaml")}
        ),
        ("cpus",),
    ),
    Broken(
        "a dbt manifest that is empty",
        manifest,
        lambda world: world.said_by_command(
            "check", variables={"PLATFORM_DBT_PROJECT": str(world.answered.folder / "dbt_project")}
        ),
        (),
    ),
)
