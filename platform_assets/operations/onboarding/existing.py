"""What the project declares already: models by name, entities, and the tables of the source at hand.

Belongs here: reading the project's YAML and file names, without dbt, which takes seconds. Does not belong here: judging it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from platform_assets.environment import Environment
from platform_assets.operations.onboarding.tables import OnboardingError


@dataclass(frozen=True)
class Existing:
    """What is there.

    Attributes:
        models: names of the models that other sources have.
        entities: entity → the column that names one of them.
        marts_of: entity → the mart that declares it.
        owner: who answers for the project's models, where dbt_project.yml says so.
    """

    models: frozenset[str] = frozenset()
    entities: dict[str, str] = field(default_factory=dict)
    marts_of: dict[str, str] = field(default_factory=dict)
    owner: str | None = None


def existing_in(environment: Environment, source: str) -> Existing:
    """What the project declares, apart from what `source` itself has.

    Raises:
        OnboardingError: there is no dbt project, or a YAML file of it cannot be read.
    """
    project = environment.dbt_project
    settings = _read(project / "dbt_project.yml")
    if not settings:
        raise OnboardingError(
            f"{project}: there is no dbt_project.yml; set PLATFORM_DBT_PROJECT to the folder of the dbt project."
        )
    models = project / "models"
    own = {models / layer / source for layer in ("staging", "marts")}
    foreign = [path for path in sorted(models.rglob("*")) if not own & {*path.parents}]
    names = frozenset(path.stem for path in foreign if path.suffix in (".sql", ".py"))
    entities: dict[str, str] = {}
    marts_of: dict[str, str] = {}
    for path in foreign:
        if path.suffix not in (".yml", ".yaml"):
            continue
        for model in _read(path).get("models") or ():
            platform = ((model.get("config") or {}).get("meta") or {}).get("platform") or {}
            key = platform.get("entity_key") or platform.get("key")
            if platform.get("kind") == "entity" and platform.get("entity") and key:
                entities[platform["entity"]] = key
                marts_of[platform["entity"]] = model["name"]
    configured = (settings.get("models") or {}).get(settings.get("name")) or {}
    owner = (configured.get("+meta") or {}).get("owner")
    return Existing(names, entities, marts_of, owner)


def _read(path: Path) -> dict[str, Any]:
    """A YAML file of dbt's, which may hold anchors; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OnboardingError(
            f"{path}: is not readable YAML ({type(error).__name__}). Mend it first: `platform-assets manifest`."
        ) from error
    return value if isinstance(value, dict) else {}
