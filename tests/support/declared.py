"""Campaign and source files as tests write them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from platform_assets.environment import Environment

GOOD = """\
type: platform_assets.components.Campaign
attributes:
  owner: crm@example.com
  description: Customers likely to order again within 90 days
  entity: customer
  label: {event: orders, within: 90d}
  audience: {top: 10%}
  schedule: weekly
"""

FETCHED = """\
type: platform_assets.components.SaasSource
attributes:
  description: Customers of the shop.
  owner: team:billing
  service: stripe
  api_version: 2026-10-28.endive
  path: stripe
  tables:
    - name: customers
"""


def write_declaration(folder: Path, name: str, text: str) -> Path:
    """`<folder>/<name>/defs.yaml`."""
    place = folder / name / "defs.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="utf-8")
    return place


def with_campaigns(environment: Environment, texts: Mapping[str, str]) -> Environment:
    """The environment with a campaign folder of its own, which holds these files by campaign."""
    folder = environment.data / "campaigns"
    for name, text in texts.items():
        write_declaration(folder, name, text)
    return replace(environment, campaigns=folder)
