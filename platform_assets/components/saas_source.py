"""One service whose API is fetched as Dagster definitions."""

from typing import Any

import dagster as dg
from pydantic import BaseModel

from platform_assets.components.platform import Platform, platform_from_variables
from platform_assets.components.scaffolding import SaasScaffolder
from platform_assets.data.fetching.assets import fetched_key, fetching_asset
from platform_assets.data.fetching.spec import SaasSourceSpec
from platform_assets.data.raw.assets import export_assets


@dg.scaffold_with(SaasScaffolder)
class SaasSource(dg.Component):
    """A service (Stripe) whose objects are fetched, each load an export that is loaded into raw tables."""

    def __init__(self, name: str, spec: SaasSourceSpec) -> None:
        self.name, self.spec = name, spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return SaasSourceSpec

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> "SaasSource":
        return cls(context.path.name, attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Definitions of this source."""
        return self.definitions(platform_from_variables())

    def definitions(self, platform: Platform) -> dg.Definitions:
        """The loads, and the raw tables after them."""
        after = [fetched_key(self.name)]
        loading = export_assets(self.spec.exports(), self.name, platform.environment, after)
        return dg.Definitions(assets=[fetching_asset(self.spec, self.name, platform.environment), *loading])
