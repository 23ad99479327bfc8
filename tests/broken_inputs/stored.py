"""What the platform wrote itself, and a disk, a person or a broken copy has changed since."""

from collections.abc import Callable
from pathlib import Path

from tests.broken_inputs.world import CUSTOMERS_AT, TRAINING, Broken, World, cut, emptied, flip, removed

SCORES, VALUE = "repeat_buyers/scores", "features/customer/order_value"
Find = Callable[[World], Path]


def stored(
    what: str, find: Find, break_it: Callable[[Path], Path], *keys: str, names: tuple[str, ...] = (), **how: bool | str
) -> Broken:
    """A file, broken; then these assets are materialised, `forget` (a key) as if for the first time."""

    def damage(world: World) -> Path:
        path = find(world)
        if how.get("forget"):
            world.record_of(str(how["forget"])).unlink()
        return break_it(path)

    daily = any(key.endswith(("/scores", "/audience", "/report")) or key.startswith("features/") for key in keys)
    partition = CUSTOMERS_AT if daily else None
    return Broken(
        what, damage, lambda world: world.said_by_run(*keys, partition=partition), names, bool(how.get("healed"))
    )


def at(pattern: str) -> Find:
    return lambda world: world.only(pattern)


def of(key: str, name: str) -> Find:
    return lambda world: world.file_of(key, name)


POINTER, ORDERS = at("marts/current.json"), at("marts/orders/*/part-0.parquet")
PROMOTED = at("artifacts/promoted/repeat_buyers.json")
BUNDLE = "bundle/bundle.json"
ROWS = (
    stored("the pointer to the marts, cut short", POINTER, cut, TRAINING),
    stored("the pointer to the marts, empty", POINTER, emptied, TRAINING),
    stored("the list of promoted models, cut short", PROMOTED, cut, SCORES),
    stored("the list of promoted models, empty", PROMOTED, emptied, SCORES),
    stored("a mart with a byte that was turned over", ORDERS, flip, TRAINING, names=("orders",), forget=TRAINING),
    stored("a mart that is gone", ORDERS, removed, TRAINING, names=("orders",), forget=TRAINING),
    stored("the same mart, when marts are built", ORDERS, flip, "marts/orders", healed=True),
    stored("a training set that is cut short", of(TRAINING, "training_set.parquet"), cut, TRAINING, healed=True),
    stored("a feature table with a byte that was turned over", of(VALUE, "features.parquet"), flip, VALUE, healed=True),
    stored(
        "a promoted model with a byte that was turned over",
        of("repeat_buyers/ensemble", BUNDLE),
        flip,
        SCORES,
        forget=SCORES,
    ),
    stored(
        "the same promoted model, when its ensemble is made",
        of("repeat_buyers/ensemble", BUNDLE),
        flip,
        "repeat_buyers/ensemble",
        healed=True,
    ),
    stored(
        "a promoted model without its description", of("repeat_buyers/ensemble", BUNDLE), removed, SCORES, forget=SCORES
    ),
    stored(
        "the record of a promoted model, cut short",
        lambda world: world.record_of("repeat_buyers/ensemble"),
        cut,
        SCORES,
        forget=SCORES,
    ),
    stored(
        "a reference between steps, cut short",
        at("refs/assets/repeat_buyers/scores/*.json"),
        cut,
        "repeat_buyers/audience",
    ),
)
