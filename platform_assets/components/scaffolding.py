"""What `dg scaffold defs` writes: a declaration that holds, out of what is typed.

Belongs here: the few things that a new declaration cannot do without, and their place in its file. Does not belong here: what
a declaration may say (the specifications).
"""

from typing import Any, Literal

import dagster as dg
from pydantic import BaseModel, Field

from platform_assets.campaigns.declaration.beginning import WITHIN, attributes_of
from platform_assets.environment import STRIPE_KEY


class CampaignStart(BaseModel):
    """What a campaign cannot do without."""

    owner: str = Field(description="who answers for it: an e-mail address or team:…")
    entity: str = Field(description="whom it is about, such as customer")
    event: str = Field(description="the event mart whose next event is asked for, such as orders")
    within: str = Field(WITHIN, description="within how long, such as 30d")


class CampaignScaffolder(dg.Scaffolder[CampaignStart]):
    """`dg scaffold defs platform_assets.components.Campaign campaigns/<name> --owner … --entity … --event …`."""

    @classmethod
    def get_scaffold_params(cls) -> type[CampaignStart]:
        return CampaignStart

    def scaffold(self, request: dg.ScaffoldRequest[CampaignStart]) -> None:
        start = request.params
        attributes = attributes_of(start.owner, start.entity, start.event, start.within)
        dg.scaffold_component(request, attributes)


class SourceStart(BaseModel):
    """What a source cannot do without."""

    owner: str = Field(description="who answers for it: an e-mail address or team:…")
    format: Literal["aurora_snapshot", "dynamodb", "dynamodb_full"] = Field(description="how AWS wrote it")
    path: str = Field(description="folder of its exports, below the exports' place")
    table: str = Field(description="one table, as the export names it, such as shop.orders")
    key: str = Field(description="the column or attribute that is unique in it")


class SourceScaffolder(dg.Scaffolder[SourceStart]):
    """`dg scaffold defs platform_assets.components.ExportSource sources/<name> --owner … --format … --path … --table … --key …`."""

    @classmethod
    def get_scaffold_params(cls) -> type[SourceStart]:
        return SourceStart

    def scaffold(self, request: dg.ScaffoldRequest[SourceStart]) -> None:
        start = request.params
        database, dot, name = start.table.rpartition(".")
        attributes: dict[str, Any] = {
            "description": f"Exports of {start.table}.",
            "owner": start.owner,
            "format": start.format,
            "path": start.path,
            **({"database": database.partition(".")[0]} if start.format == "aurora_snapshot" and dot else {}),
            "tables": [{"name": name.lower(), "export_table": start.table, "key": [start.key]}],
        }
        dg.scaffold_component(request, attributes)


class SaasStart(BaseModel):
    """What a service that is fetched cannot do without."""

    owner: str = Field(description="who answers for it: an e-mail address or team:…")
    api_version: str = Field(description="the version of the API to ask in, such as 2026-10-28.endive")
    key_variable: str = Field(default=STRIPE_KEY, description="the environment variable that holds the API key")
    table: str = Field(description="one kind of objects, as the API lists them, such as customers")


class SaasScaffolder(dg.Scaffolder[SaasStart]):
    """`dg scaffold defs platform_assets.components.SaasSource sources/<name> --owner … --api_version … --key_variable … --table …`."""

    @classmethod
    def get_scaffold_params(cls) -> type[SaasStart]:
        return SaasStart

    def scaffold(self, request: dg.ScaffoldRequest[SaasStart]) -> None:
        start = request.params
        attributes = {
            "description": f"Objects of Stripe: {start.table}.",
            "owner": start.owner,
            "service": "stripe",
            "api_version": start.api_version,
            "key_variable": start.key_variable,
            "path": "stripe",
            "tables": [{"name": start.table}],
        }
        dg.scaffold_component(request, attributes)
