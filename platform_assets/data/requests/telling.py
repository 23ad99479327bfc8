"""What people are told of requests: names, ages, and what to do.

Belongs here: sentences. Does not belong here: where they are shown (`raw.requested`, `operations.automation`).
"""

from datetime import UTC, datetime, timedelta

from platform_assets.data.requests.record import Request, Wanted


def named(wanted: Wanted) -> str:
    """An export that is wanted, in words."""
    if wanted.snapshot:
        return f"the export of snapshot {wanted.snapshot.rpartition(':')[2]} ({at(wanted.at)})"
    if wanted.start:
        return f"the incremental export from {at(wanted.start)} to {at(wanted.at)}"
    return f"the full export as of {at(wanted.at)}"


def at(instant: datetime) -> str:
    """An instant in UTC, to the second."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def since(instant: datetime, now: datetime) -> str:
    """When something was, and how long ago that is."""
    minutes = max(0, (now - instant) // timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    return f"at {at(instant)}, {f'{hours} h {rest} min' if hours else f'{rest} min'} ago"


def failed_for_good(request: Request, name: str, location: str) -> str:
    """That AWS failed at every attempt, and how to have it asked again."""
    return (
        f"{name}: AWS failed {len(request.attempts)} times at {named(request.wanted)}, at last with {request.last.why or 'no reason'}. "
        f"Nothing more is asked for of {name}. Mend what AWS names (the bucket, its policy, the key, the role), and remove {location}: "
        "then it is asked for again."
    )
