"""Campaign files as tests write them."""

from pathlib import Path

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


def write_campaign(folder: Path, name: str, text: str) -> Path:
    """`<folder>/<name>/defs.yaml`."""
    place = folder / name / "defs.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="utf-8")
    return place
