"""One source of AWS exports as Dagster definitions."""

from typing import Any

import dagster as dg
from pydantic import BaseModel

from platform_assets.components.platform import Platform, platform_from_variables
from platform_assets.components.scaffolding import SourceScaffolder
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.assets import export_assets


@dg.scaffold_with(SourceScaffolder)
class ExportSource(dg.Component):
    """A DynamoDB or Aurora export that is loaded into raw tables."""

    def __init__(self, name: str, spec: ExportSourceSpec) -> None:
        self.name, self.spec = name, spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return ExportSourceSpec

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> "ExportSource":
        return cls(context.path.name, attributes)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Definitions of this source."""
        return self.definitions(platform_from_variables())

    def definitions(self, platform: Platform) -> dg.Definitions:
        return dg.Definitions(assets=export_assets(self.spec, self.name, platform.environment))
