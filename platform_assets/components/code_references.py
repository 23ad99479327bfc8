"""Where each asset is written down, as Dagster's pages link it: file and line of a campaign, a source or a feature group, a model's files.

Belongs here: from assets to places, and from places to links. Does not belong here: what a file says.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import dagster as dg

from platform_assets.campaigns.declaration.parsing import CampaignFile
from platform_assets.components.loading import Declarations, SourceFile
from platform_assets.components.platform import Platform
from platform_assets.data.features.registry import place_of
from platform_assets.environment import Environment

CODE = "dagster/code_references"
Place = dg.LocalFileCodeReference
# What a campaign's asset is called → the key of the file that says most about it.
_STATED = {"training_set": ("label",), "models": ("advanced", "models"), "audience": ("audience",)}


def with_code_references(definitions: dg.Definitions, declarations: Declarations, platform: Platform) -> dg.Definitions:
    """The same, each asset that somebody declared with links to where: a local file, or the repository that the environment names."""
    stated = {spec.key: _stated(spec) for spec in _specs(definitions)}
    places = {**stated, **dict(_of_groups(platform, stated))}
    campaigns = {file.name: file for file in declarations.campaign_files if file.spec is not None}
    sources = {file.name: file for file in declarations.source_files if file.spec is not None}
    roots = (platform.environment.project, platform.environment.project.resolve())

    def linked(spec: dg.AssetSpec) -> dg.AssetSpec:
        own, (first, *rest) = places.get(spec.key, ()), spec.key.path
        if first == "raw" and rest[0] in sources:
            own = [_in_source(sources[rest[0]], rest[1])]
        elif not own and first in campaigns:
            own = [_in_campaign(campaigns[first], *rest)]
        links = [link for place in own if (link := _link(place, platform.environment, roots)) is not None]
        other = {name: value for name, value in spec.metadata.items() if name != CODE}
        shown = {CODE: dg.CodeReferencesMetadataValue(code_references=links)} if links else {}
        return spec.replace_attributes(metadata={**other, **shown})

    return definitions.map_asset_specs(func=linked)


def _specs(definitions: dg.Definitions) -> Iterator[dg.AssetSpec]:
    for asset in definitions.assets or ():
        if isinstance(asset, dg.AssetsDefinition):
            yield from asset.specs


def _stated(spec: dg.AssetSpec) -> Sequence[Place]:
    stated = spec.metadata.get(CODE)
    return stated.code_references if stated is not None else ()


def _of_groups(
    platform: Platform, stated: Mapping[dg.AssetKey, Sequence[Place]]
) -> Iterator[tuple[dg.AssetKey, Sequence[Place]]]:
    """Where each feature group is declared; of one that follows from what its mart declares, where that is."""
    for group in (group for own in platform.groups.values() for group in own.values()):
        place = place_of(group, platform.environment.project)
        of_mart = stated.get(dg.AssetKey(["marts", group.marts[0]]), ())
        yield (
            dg.AssetKey(group.key.split("/")),
            [Place(file_path=str(place[0]), line_number=place[1])] if place else of_mart,
        )


def _in_campaign(file: CampaignFile, kind: str, *rest: str) -> Place:
    return Place(file_path=str(file.path), line_number=file.line_of(*_STATED.get(kind, ()), *rest))


def _in_source(file: SourceFile, table: str) -> Place:
    assert file.spec is not None
    index = [one.name for one in file.spec.tables].index(table)
    return Place(file_path=str(file.path), line_number=file.line_of("tables", index))


def _link(place: Place, environment: Environment, roots: Sequence[Path]) -> Place | dg.UrlCodeReference | None:
    """A place with words for what it leads to; None where the repository, whose folder here is one of `roots`, holds no such file."""
    file = Path(place.file_path)
    inside = next((file.relative_to(root) for root in roots if file.is_relative_to(root)), None)
    if environment.code_at_commit is None:
        return Place(file_path=str(file), line_number=place.line_number, label=str(inside or file))
    if inside is None:
        return None
    line = f"#L{place.line_number}" if place.line_number else ""
    return dg.UrlCodeReference(
        url=f"{environment.code_at_commit}/{quote(inside.as_posix())}{line}", label=inside.as_posix()
    )
