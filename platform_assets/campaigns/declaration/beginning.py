"""What a new campaign's file says when nobody copied one: the few keys that must be there, out of what the marts declare.

Belongs here: choosing whom and what it is about, and the text. Does not belong here: what a campaign may say (`spec`).
"""

import json
from typing import Any

from platform_assets.data.catalog.catalog import Catalog, Mart
from platform_assets.foundation.documents.sentences import did_you_mean

WITHIN = "30d"


class NothingToBegin(LookupError):
    """The marts do not say whom or what a new campaign is about; says what to name."""


def event_of(catalog: Catalog, entity: str | None, event: str | None) -> Mart:
    """The events whose next one is asked for: the ones named, else those that say who of the entity is active.

    Args:
        entity: whom it is about; None: the only entity there is.

    Raises:
        NothingToBegin: there is no such entity or mart of its events, or which is meant cannot be told.
    """
    if not catalog.entities:
        raise NothingToBegin(
            "no mart declares people yet; add a source of what they did first: platform-assets source add <name> --from <folder>"
        )
    if entity is None and len(catalog.entities) > 1:
        raise NothingToBegin(f"say whom it is about with --entity: {', '.join(sorted(catalog.entities))}")
    if entity is None:
        [entity] = catalog.entities
    if entity not in catalog.entities:
        raise NothingToBegin(f"--entity {entity}: there is no such entity{did_you_mean(entity, catalog.entities)}")
    events = [mart.name for mart in catalog.marts.values() if mart.kind == "event" and mart.entity == entity]
    event = event or catalog.entities[entity].population
    if event not in events:
        raise NothingToBegin(f"--event {event}: is no mart of events of {entity}{did_you_mean(event, events)}")
    return catalog.marts[event]


def attributes_of(owner: str, entity: str, event: str, within: str = WITHIN) -> dict[str, Any]:
    """The keys that a campaign cannot do without."""
    return {
        "owner": owner,
        "description": f"{entity} with {event} within {within}".capitalize(),
        "entity": entity,
        "label": {"event": event, "within": within},
        "audience": {"top": "10%"},
    }


def text_of(owner: str, mart: Mart) -> str:
    """A file that holds, with the columns that may narrow its question in a comment."""
    attributes = attributes_of(owner, str(mart.entity), mart.name)
    columns = ", ".join(name for name in mart.columns if name not in (mart.key, mart.entity_key, mart.event_time))
    return "\n".join(
        [
            "# yaml-language-server: $schema=../../campaign.schema.json",
            "type: platform_assets.components.Campaign",
            "attributes:",
            f"  owner: {json.dumps(owner)}",
            f"  description: {attributes['description']}",
            f"  entity: {attributes['entity']}",
            *([f"  # Which {mart.name} count is said by `where: …`, on {columns}."] if columns else []),
            f"  label: {{event: {mart.name}, within: {attributes['label']['within']}}}",
            f"  audience: {{top: {attributes['audience']['top']}}}",
            "",
        ]
    )
