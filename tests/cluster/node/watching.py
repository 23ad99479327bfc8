"""Following a kind of object: all of them first, then every change, for ever.

Belongs here: list and watch with the API server coming and going.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

import kubernetes as k
import urllib3

from tests.cluster.node.reporter import complain

WATCH_SECONDS = 60
RETRY_SECONDS = 1


def follow(
    listing: Callable[..., Any],
    replace: Callable[[list[dict]], None],
    change: Callable[[str, dict], None],
    **selection: str,
) -> None:
    """Never returns. replace: gets the complete list; change: kind (ADDED, MODIFIED, DELETED) and object."""
    while True:
        try:
            answer = listing(_preload_content=False, _request_timeout=10, **selection)
            found = json.loads(answer.data)
            replace(found["items"])
            events = k.watch.Watch().stream(
                listing,
                resource_version=found["metadata"]["resourceVersion"],
                timeout_seconds=WATCH_SECONDS,
                _request_timeout=(5, WATCH_SECONDS + 10),
                **selection,
            )
            for event in events:
                change(event["type"], event["raw_object"])
        except (k.client.ApiException, urllib3.exceptions.HTTPError) as error:
            complain("watch", error)
            threading.Event().wait(RETRY_SECONDS)
