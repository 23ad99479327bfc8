"""The Dagster face of fetching: one asset a source, upstream of its raw tables.

Belongs here: key, group, metadata and failures. Does not belong here: any fetching.
"""

from typing import TYPE_CHECKING

import dagster as dg

from platform_assets.data.fetching.refused import FetchRefused
from platform_assets.data.fetching.spec import SaasSourceSpec
from platform_assets.foundation.execution.profiles import way_out
from platform_assets.foundation.storage import LeaseLost, StorageRefused

if TYPE_CHECKING:
    from platform_assets.environment import Environment

GROUP = "exports"


def fetched_key(name: str) -> dg.AssetKey:
    """The asset of a source's loads."""
    return dg.AssetKey([GROUP, name])


def fetching_asset(spec: SaasSourceSpec, name: str, environment: "Environment") -> dg.AssetsDefinition:
    """The asset `exports/<name>`: each time it is made, one load, or the end of one that was cut off."""

    variables = (spec.variable,) if spec.variable else ()

    @dg.asset(
        key=fetched_key(name),
        group_name=GROUP,
        description=f"{spec.description} A load of {spec.service} as exports below {spec.path}/.",
        kinds={spec.service},
        owners=[spec.owner],
        op_tags=way_out(spec.service, *variables),
    )
    def exports() -> dg.MaterializeResult:
        from platform_assets.data.fetching.load import fetch

        try:
            loaded = fetch(spec, environment.exports)
        except FetchRefused as error:
            raise dg.Failure(str(error), allow_retries=error.passes) from error
        except (LeaseLost, StorageRefused) as error:
            raise dg.Failure(str(error)) from error
        return dg.MaterializeResult(
            metadata={
                "covers_before": dg.MetadataValue.timestamp(loaded.covered),
                "listed_anew": dg.MetadataValue.text(", ".join(loaded.listed) or "nothing"),
                "read_again": dg.MetadataValue.int(loaded.again),
                "resumed": dg.MetadataValue.bool(loaded.resumed),
                **{f"objects/{kind}": dg.MetadataValue.int(count) for kind, count in loaded.objects.items()},
            }
        )

    return exports
