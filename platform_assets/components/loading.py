"""Finding the YAML files and turning each into definitions, on its own: one broken file does not hide the others.

A broken source leaves its raw tables as they were loaded before, for the marts and campaigns that stand on them; a broken
feature file refuses the campaigns of its entity.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import dagster as dg

from platform_assets.campaigns.declaration.parsing import (
    CampaignFile,
    DeclarationError,
    DeclaredFile,
    attributes_as,
    declared_in,
    is_yaml,
    parse_document,
    read_campaigns,
    read_declared,
)
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.components.platform import Platform
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.fetching.spec import SaasSourceSpec
from platform_assets.environment import Environment
from platform_assets.foundation.documents.reading import Document

SOURCE_TYPE = "platform_assets.components.ExportSource"
SAAS_TYPE = "platform_assets.components.SaasSource"
BROKEN_GROUP, BROKEN_SOURCES_GROUP, BROKEN_FEATURES_GROUP = "broken_campaigns", "broken_sources", "broken_features"
SourceFile = DeclaredFile[ExportSourceSpec]


@dataclass(frozen=True)
class Declarations:
    """What people declared: the files of sources and campaigns, those that hold and those that do not, and the files of
    features that do not."""

    source_files: tuple[SourceFile, ...]
    campaign_files: tuple[CampaignFile, ...]
    broken_features: Mapping[Path, Exception]

    @cached_property
    def sources(self) -> dict[str, ExportSourceSpec]:
        """Those that hold, by name."""
        return {file.name: file.spec for file in self.source_files if file.spec is not None}

    @cached_property
    def campaigns(self) -> dict[str, CampaignSpec]:
        """Those that hold, by name."""
        return {file.name: file.spec for file in self.campaign_files if file.spec is not None}


def read_declarations(platform: Platform) -> Declarations:
    """Every source, where the scope holds what all share, and every campaign in scope.

    Raises:
        DeclarationError: a file is broken in a strict environment, or the scope names a campaign that is not there.
    """
    environment = platform.environment
    files = read_campaigns(environment.campaigns, platform.holdings, platform.profiles, environment.scope.admits)
    files = [checked for file in files if (checked := _of_this_code(file, environment)) is not None]
    missing = sorted((environment.scope.campaigns or frozenset()) - {file.name for file in files})
    if missing:
        raise DeclarationError(
            f"PLATFORM_SCOPE=campaign:{','.join(missing)}: {environment.campaigns} holds no such campaign"
        )
    sources = read_source_files(environment.sources) if environment.scope.shared else []
    features = platform.holdings.broken if environment.scope.shared else {}
    errors = [*(file.error for file in sources), *features.values(), *(file.error for file in files)]
    if environment.strict and any(errors):
        raise DeclarationError("\n".join(str(error) for error in errors if error))
    return Declarations(tuple(sources), tuple(files), features)


def _of_this_code(file: CampaignFile, environment: Environment) -> CampaignFile | None:
    """The file unless it is pinned to another commit: then None where that commit has a code location, else an error."""
    pinned = file.spec.advanced.code if file.spec else None
    if pinned is None or pinned.commit == environment.commit:
        return file
    if environment.executor == "kubernetes" and environment.scope.campaigns is None:
        return None
    here = environment.commit or "of a commit that nobody told it (PLATFORM_COMMIT)"
    error = DeclarationError(
        f"{file.path}: advanced.code.commit: {file.name} is pinned to {pinned.commit}, and the code here is {here}. On "
        "Kubernetes a code location of that commit serves it (`platform-assets pinned`); here, check that commit out and "
        "set PLATFORM_COMMIT to it, or remove advanced.code"
    )
    return CampaignFile(file.name, file.path, None, error)


def read_source_files(folder: Path) -> list[SourceFile]:
    """Every `<folder>/<source>/defs.yaml`, good and broken, by name."""
    return [read_declared(path, "source", _source) for path in declared_in(folder)]


def unread_files(environment: Environment) -> list[Path]:
    """Files where declarations are looked for that nothing reads, hidden ones apart: in the folders of sources and campaigns,
    and YAML beside these where they lie side by side in a folder `defs`."""
    folders = (environment.sources, environment.campaigns)
    read = {path for folder in folders for path in declared_in(folder)}
    unread = {path for folder in folders for path in _files_in(folder) if path not in read}
    around = environment.sources.parent
    if around == environment.campaigns.parent and around.name == "defs":
        beside = (path for path in _files_in(around) if not any(path.is_relative_to(folder) for folder in folders))
        unread |= {path for path in beside if is_yaml(path)}
    return sorted(unread)


def _files_in(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
        if not hidden and (path.is_symlink() or not path.is_dir()):
            yield path


def _source(path: Path) -> tuple[Document, ExportSourceSpec]:
    document = parse_document(path, SOURCE_TYPE, SAAS_TYPE)
    if document.value["type"] == SAAS_TYPE:
        return document, attributes_as(document, SaasSourceSpec).exports()
    return document, attributes_as(document, ExportSourceSpec)


def broken_definitions(declarations: Declarations) -> dg.Definitions:
    """For each broken file an asset that fails with what is wrong, and a check that says the same."""
    taken: set[str] = set()
    files = [
        *((BROKEN_GROUP, [], file.name, file.path, file.error) for file in declarations.campaign_files if file.error),
        *(
            (BROKEN_SOURCES_GROUP, ["sources"], file.name, file.path, file.error)
            for file in declarations.source_files
            if file.error
        ),
        *(
            (BROKEN_FEATURES_GROUP, ["features"], path.stem, path, error)
            for path, error in declarations.broken_features.items()
        ),
    ]
    return dg.Definitions.merge(
        *(
            _broken(dg.AssetKey([*place, _name_for_dagster(name, taken), "definition"]), group, path, str(error))
            for group, place, name, path, error in files
        )
    )


def _broken(key: dg.AssetKey, group: str, path: Path, error: str) -> dg.Definitions:
    what = group.removeprefix("broken_").removesuffix("s")

    @dg.asset(
        key=key,
        group_name=group,
        description=f"**Broken {what} file.**\n\n```\n{error}\n```",
        kinds={"yaml"},
        metadata={"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[_place(path, error)])},
    )
    def definition() -> None:
        raise dg.Failure(error, allow_retries=False)

    @dg.asset_check(asset=key, name="file_is_valid", description=f"The {what} file can be honoured")
    def file_is_valid() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, description=error, metadata={"file": str(path)})

    return dg.Definitions(assets=[definition], asset_checks=[file_is_valid])


def _place(path: Path, error: str) -> dg.LocalFileCodeReference:
    """The first line of a broken file that its error names."""
    named = re.match(re.escape(f"{path}:") + r"(\d+)", error)
    return dg.LocalFileCodeReference(file_path=str(path), line_number=int(named[1]) if named else 1)


def _name_for_dagster(name: str, taken: set[str]) -> str:
    """A folder's name with what Dagster refuses replaced, and numbered when another folder's looks the same by then."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    numbered = (f"{plain}_{number}" for number in itertools.count(2))
    free = next(candidate for candidate in itertools.chain([plain], numbered) if candidate not in taken)
    taken.add(free)
    return free
