"""Campaign and source files that cannot be honoured."""

from collections.abc import Callable
from pathlib import Path

from tests.broken_inputs.world import Broken, World, emptied

FILE = "defs.yaml"


def campaign(what: str, change: Callable[[str], str], *names: str) -> Broken:
    """The file of repeat_buyers with another text."""

    def rewrite(world: World) -> Path:
        path = world.environment.campaigns / "repeat_buyers" / FILE
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
        return path

    return Broken(what, rewrite, lambda world: world.said_by_command("check"), ("repeat_buyers", *names))


def campaign_bytes(what: str, content: bytes, *names: str) -> Broken:
    def rewrite(world: World) -> Path:
        path = emptied(world.environment.campaigns / "repeat_buyers" / FILE)
        path.write_bytes(content)
        return path

    return Broken(what, rewrite, lambda world: world.said_by_command("check"), ("repeat_buyers", *names))


def source(what: str, old: str, new: str, *names: str) -> Broken:
    def rewrite(world: World) -> Path:
        path = world.environment.sources / "shop" / FILE
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        return path

    return Broken(what, rewrite, lambda world: world.said_by_command("check"), ("shop", *names))


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 24))
REQUEST = "{region: eu-central-1, cluster: shop, kms_key: k, export_role: 'arn:aws:iam::123456789012:role/exports'}"
ROWS = (
    campaign(
        "a campaign with a key that does not exist", lambda text: f"{text}  featurs: all\n", "featurs", "features"
    ),
    campaign(
        "a campaign about people whom the catalog does not know",
        replaced("entity: customer", "entity: custommer"),
        "custommer",
    ),
    campaign("a campaign with a label of no such events", replaced("event: orders", "event: odrers"), "odrers"),
    campaign(
        "a campaign that would run SQL", lambda text: f'{text}  population: "1=1; drop table orders"\n', "population"
    ),
    campaign(
        "a campaign whose audience is everyone held out",
        lambda text: f"{text}\n".replace("top: 10%", "top: 10%, holdout: 100%"),
        "holdout",
    ),
    campaign("a campaign with a share written as a number", replaced("top: 10%", "top: 0.1"), "top"),
    campaign("a campaign whose owner is nobody", replaced("owner: crm@example.com", "owner: nobody"), "owner"),
    campaign("a campaign with a key twice", lambda text: f"{text}  owner: crm@example.com\n", "owner"),
    campaign("a campaign file with an alias to itself", lambda _: "attributes: &a {description: *a}\n", "alias"),
    campaign("a campaign file of aliases to aliases", lambda _: BOMB, "alias"),
    campaign("a campaign file that is nested without end", lambda _: "attributes: " + "[" * 2000 + "]" * 2000 + "\n"),
    campaign("a campaign file that is no YAML", lambda text: text + " : {\n"),
    campaign_bytes("a campaign file that is not UTF-8", "description: Käufer".encode("latin-1")),
    campaign_bytes("a campaign file that is empty", b""),
    source("a source with a format that does not exist", "aurora_snapshot", "aurora_snapshott", "format"),
    source("a source that leads out of its folder", "path: shop", "path: ../../etc", "path"),
    source(
        "a source that asks AWS for exports and says nowhere where they go",
        "path: shop",
        f"path: shop\n  request: {REQUEST}",
        "request",
        "from",
    ),
    source(
        "a source that asks AWS for snapshots more often than there are any",
        "path: shop",
        f"path: shop\n  from: s3://exports/shop\n  request: {REQUEST[:-1]}, every: 6h}}",
        "request",
        "every",
        "6h",
    ),
    source(
        "a source from a place that is not S3", "path: shop", "path: shop\n  from: https://example.com/shop", "from"
    ),
    source(
        "a source from S3 by a role that is none",
        "path: shop",
        "path: shop\n  from: s3://a-bucket/shop\n  from_role: reader",
        "from_role",
    ),
    source(
        "a source with a role and nothing to read by it",
        "path: shop",
        "path: shop\n  from_role: arn:aws:iam::123456789012:role/reader",
        "from_role",
    ),
    source(
        "a source of which more than all may be broken",
        "path: shop",
        "path: shop\n  expectations: {quarantine_at_most: 2}",
        "quarantine_at_most",
    ),
    source(
        "a source with a table called as a quarantine is",
        "name: orders",
        "name: orders__quarantine",
        "orders__quarantine",
    ),
)
