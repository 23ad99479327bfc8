"""Finding the YAML files and turning each into definitions, on its own: one broken file does not hide the others."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from platform_assets.campaigns.declaration.parsing import (
    FILE_NAME,
    CampaignFile,
    DeclarationError,
    parse_document,
    read_campaigns,
)
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.components.platform import Platform
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.environment import Environment

SOURCE_TYPE = "platform_assets.components.ExportSource"
BROKEN_GROUP = "broken_campaigns"


@dataclass(frozen=True)
class Declarations:
    """What people declared: sources, campaigns that hold, and campaign files that do not."""

    sources: dict[str, ExportSourceSpec]
    campaigns: dict[str, CampaignSpec]
    broken: tuple[CampaignFile, ...]


def read_declarations(platform: Platform) -> Declarations:
    """Every source and every campaign in scope.

    Raises:
        DeclarationError: a source file is broken (everything stands on sources), a campaign file in a strict
            environment, or the scope names a campaign that is not there.
    """
    environment = platform.environment
    files = read_campaigns(environment.campaigns, platform.catalog, platform.profiles, environment.scope.admits)
    files = [checked for file in files if (checked := _of_this_code(file, environment)) is not None]
    missing = sorted((environment.scope.campaigns or frozenset()) - {file.name for file in files})
    if missing:
        raise DeclarationError(
            f"PLATFORM_SCOPE=campaign:{','.join(missing)}: {environment.campaigns} holds no such campaign"
        )
    broken = tuple(file for file in files if file.error is not None)
    if broken and environment.strict:
        raise DeclarationError("\n".join(str(file.error) for file in broken))
    campaigns = {file.name: file.spec for file in files if file.spec is not None}
    return Declarations(read_sources(environment.sources), campaigns, broken)


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


def read_sources(folder: Path) -> dict[str, ExportSourceSpec]:
    """Every `<folder>/<source>/defs.yaml`, by name.

    Raises:
        DeclarationError: one of them cannot be honoured.
    """
    return {
        path.parent.name: parse_document(path, SOURCE_TYPE).attributes_as(ExportSourceSpec)
        for path in sorted(folder.glob(f"*/{FILE_NAME}"))
    }


def broken_campaign_definitions(broken: Iterable[CampaignFile]) -> dg.Definitions:
    """For each broken file an asset that fails with what is wrong, and a check that says the same."""
    taken: set[str] = set()
    return dg.Definitions.merge(*(_broken(_name_for_dagster(file.name, taken), file) for file in broken))


def _broken(name: str, file: CampaignFile) -> dg.Definitions:
    key = dg.AssetKey([name, "definition"])

    @dg.asset(
        key=key,
        group_name=BROKEN_GROUP,
        description=f"**Broken campaign file.**\n\n```\n{file.error}\n```",
        kinds={"yaml"},
    )
    def definition() -> None:
        raise dg.Failure(str(file.error), allow_retries=False)

    @dg.asset_check(asset=key, name="file_is_valid", description="The campaign file can be honoured")
    def file_is_valid() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, description=str(file.error), metadata={"file": str(file.path)})

    return dg.Definitions(assets=[definition], asset_checks=[file_is_valid])


def _name_for_dagster(name: str, taken: set[str]) -> str:
    """A folder's name with what Dagster refuses replaced, and numbered when another folder's looks the same by then."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    numbered = (f"{plain}_{number}" for number in itertools.count(2))
    free = next(candidate for candidate in itertools.chain([plain], numbered) if candidate not in taken)
    taken.add(free)
    return free
