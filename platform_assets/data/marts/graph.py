"""The dbt project as its manifest describes it: models, their tests, and what stands upstream of what.

Belongs here: reading the manifest. Does not belong here: running anything. Only the standard library and the
catalog are imported: definitions load this module.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Literal, cast

from platform_assets.data.catalog.catalog import MARTS_FOLDER

Layer = Literal["staging", "marts"]
Severity = Literal["error", "warn"]
_CODE_VERSION_LENGTH = 12


class ProjectError(ValueError):
    """The dbt project holds something the platform cannot show or run; the message names it."""


@dataclass(frozen=True)
class Column:
    """A column as declared; `type` is empty where no contract states it.

    Attributes:
        policy_tags: the classes of sensitive data it belongs to, as the platform names them.
    """

    name: str
    type: str
    description: str
    policy_tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Test:
    """A data test or unit test.

    Attributes:
        unique_id: dbt's name for it.
        name: unique among the tests of its model.
        model: the model it judges.
        severity: `error` blocks publishing, `warn` shows.
        parents: every model it reads.
        description: what it promises, where that is written down.
    """

    unique_id: str
    name: str
    model: str
    severity: Severity
    parents: frozenset[str]
    description: str


@dataclass(frozen=True)
class Model:
    """A model.

    Attributes:
        name: unique in the project.
        unique_id: dbt's name for it.
        layer: `staging` (a view) or `marts` (a table).
        description: what one row is.
        owner: `team:…` or an e-mail address.
        path: its SQL file, relative to the project.
        code_version: changes with that file.
        columns: as declared.
        models: the models it reads.
        sources: the raw tables it reads itself, as (source, table).
        tests: what judges it.
    """

    name: str
    unique_id: str
    layer: Layer
    description: str
    owner: str
    path: str
    code_version: str
    columns: tuple[Column, ...]
    models: frozenset[str]
    sources: frozenset[tuple[str, str]]
    tests: tuple[Test, ...]


@dataclass(frozen=True)
class ProjectGraph:
    """All models, by name, in an order that puts parents first."""

    models: dict[str, Model]

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> "ProjectGraph":
        """Read models and tests out of a manifest.

        Raises:
            ProjectError: a model lies outside the staging and marts folders, or has no owner.
        """
        nodes = manifest["nodes"]
        names = {key: node["name"] for key, node in nodes.items() if node["resource_type"] == "model"}
        tests: dict[str, list[Test]] = {name: [] for name in names.values()}
        for test in _tests(manifest, names):
            tests[test.model].append(test)
        models = {name: _model(nodes[key], manifest, names, tests[name]) for key, name in sorted(names.items())}
        parents = {name: sorted(model.models) for name, model in models.items()}
        return cls({name: models[name] for name in TopologicalSorter(parents).static_order()})

    def closure(self, names: Iterable[str]) -> list[str]:
        """What building and testing `names` takes: these, and all upstream of them and of their tests."""
        wanted: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in wanted:
                continue
            wanted.add(name)
            waiting.extend(self.models[name].models)
            for test in self.models[name].tests:
                waiting.extend(test.parents)
        return [name for name in self.models if name in wanted]

    def upstream_sources(self, name: str) -> frozenset[tuple[str, str]]:
        """The raw tables that decide a model's content and its tests' outcome.

        A model that reads no raw table reads the record of all exports, and so depends on every table.
        """
        return self.read_sources(name) or self.sources

    def read_sources(self, name: str) -> frozenset[tuple[str, str]]:
        """The raw tables that are read to build and test a model."""
        return frozenset().union(*(self.models[each].sources for each in self.closure([name])))

    @property
    def sources(self) -> frozenset[tuple[str, str]]:
        """Every raw table that a model reads."""
        return frozenset().union(*(model.sources for model in self.models.values()))


def _model(node: Mapping[str, Any], manifest: Mapping[str, Any], names: Mapping[str, str], tests: list[Test]) -> Model:
    folders = node["fqn"][1:-1]
    layer = next((layer for layer in ("staging", MARTS_FOLDER) if layer in folders), None)
    if layer is None:
        raise ProjectError(
            f"model {node['name']}: {node['original_file_path']} lies in neither models/staging nor "
            f"models/marts; move it"
        )
    owner = node["config"]["meta"].get("owner")
    if not owner:
        raise ProjectError(
            f"model {node['name']}: give it an owner (team:… or an e-mail address) under config.meta.owner"
        )
    parents = node["depends_on"]["nodes"]
    sources = [manifest["sources"][parent] for parent in parents if parent in manifest["sources"]]
    return Model(
        name=node["name"],
        unique_id=node["unique_id"],
        layer=cast(Layer, layer),
        description=node["description"],
        owner=owner,
        path=node["original_file_path"],
        code_version=node["checksum"]["checksum"][:_CODE_VERSION_LENGTH],
        columns=tuple(
            Column(
                column["name"], column["data_type"] or "", column["description"], tuple(column.get("policy_tags") or ())
            )
            for column in node["columns"].values()
        ),
        models=frozenset(names[parent] for parent in parents if parent in names),
        sources=frozenset((source["source_name"], source["name"]) for source in sources),
        tests=tuple(tests),
    )


def _tests(manifest: Mapping[str, Any], names: Mapping[str, str]) -> Iterable[Test]:
    for unique_id, node in sorted(manifest["nodes"].items()):
        if node["resource_type"] != "test":
            continue
        parents = [names[parent] for parent in node["depends_on"]["nodes"] if parent in names]
        model = names.get(node.get("attached_node") or "") or (parents[0] if parents else None)
        if model is None:
            raise ProjectError(
                f"test {node['name']} in {node['original_file_path']} reads no model, so no build would run it; put it "
                "on the staging model of its source"
            )
        severity = "warn" if node["config"]["severity"].lower() == "warn" else "error"
        yield Test(unique_id, node["name"], model, cast(Severity, severity), frozenset(parents), node["description"])
    for unique_id, node in sorted(manifest["unit_tests"].items()):
        model = node["model"]
        yield Test(unique_id, node["name"], model, "error", frozenset([model]), node["description"] or "")
