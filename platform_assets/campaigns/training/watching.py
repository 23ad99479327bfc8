"""Watching a model learn: its TensorBoard event file, below the platform's tensorboard folder, while it is fitted."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from platform_assets.environment import Environment
from platform_assets.foundation.artifacts import Recipe
from platform_assets.foundation.storage import files_at

if TYPE_CHECKING:
    from platform_assets.learning.cross_fitting import ModelSettings
    from platform_assets.learning.families.fitting import Progress

Watching = Callable[[Recipe, "ModelSettings"], AbstractContextManager[Callable[["Progress"], None]]]
# TensorBoard reads files whose names hold `tfevents`.
FILE = "events.out.tfevents.fit"


def event_files(environment: Environment) -> Watching:
    """Keeps an event file a fit, named after what is fitted and from what: an attempt taken up again goes on in it."""

    @contextmanager
    def watching(recipe: Recipe, model: "ModelSettings") -> "Iterator[Callable[[Progress], None]]":
        from platform_assets.learning.event_files import EventFile

        files = files_at(environment.tensorboard)
        name = f"{recipe.key}/{recipe.fingerprint[:12]}/{FILE}"
        earlier = files.read(name)
        file = EventFile(
            lambda content: files.write(name, content, durable=False),
            model.family,
            model.params,
            earlier.content if earlier else None,
        )
        try:
            yield file.report
        finally:
            file.close()

    return watching


def shown_where(key: str, environment: Environment) -> dict[str, Any]:
    """Metadata that leads a person to the event files of what is kept under `key`."""
    from urllib.parse import quote

    import dagster as dg

    if environment.tensorboard_url is None:
        return {"tensorboard": files_at(environment.tensorboard).location(key)}
    url = f"{environment.tensorboard_url.rstrip('/')}/?runFilter={quote(key, safe='')}#timeseries"
    return {"tensorboard": dg.MetadataValue.url(url)}
