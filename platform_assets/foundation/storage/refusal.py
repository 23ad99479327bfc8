"""When a storage does not say what is there: the error, its sentence, and who it is that was refused.

Belongs here: telling a refusal from an absence, for folders and for Google's client. Does not belong here: what is asked
for (`bucket`, `folder`, and whoever lists). No permission and no answer are never "nothing is there".
"""

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

Doing = Literal["list", "read", "write"]
_ROLES = {
    "list": "Storage Object Viewer (roles/storage.objectViewer, for storage.objects.list)",
    "read": "Storage Object Viewer (roles/storage.objectViewer, for storage.objects.get)",
    "write": "Storage Object User (roles/storage.objectUser, for storage.objects.create and storage.objects.delete)",
}
_MODES = {"list": "read and enter (r-x)", "read": "read", "write": "write to (rwx)"}
_UNKNOWN = {"list": " What is there is not known.", "read": " What is there is not known.", "write": ""}
_LONGEST_REASON = 300


class StorageRefused(Exception):
    """A storage refused to say what is there, or gave no answer: what is there is not known, and nothing was changed."""


def refusal(place: str, doing: Doing, status: int | None, reason: object, identity: str) -> StorageRefused:
    """The error of a bucket.

    Args:
        status: of the last HTTP answer; None when there was none.
        reason: what the client said.
        identity: who asked, as `identity_of` says it.
    """
    said = " ".join(str(reason).split())[:_LONGEST_REASON].rstrip(".") or type(reason).__name__
    if status == 401:
        why = f"the storage does not know who asks ({said})"
        remedy = (
            f"Asked as {identity}. Run `gcloud auth application-default login`, or give the pod its service account "
            f"(Workload Identity); it needs the role {_ROLES[doing]}"
        )
    elif status == 403:
        why = f"not allowed to {doing} ({status}: {said})"
        remedy = f"Asked as {identity}, which needs the role {_ROLES[doing]} on the bucket"
    else:
        answer = f"{status}: {said}" if status else said
        why = f"no answer after the client's tries ({answer})"
        remedy = f"Asked as {identity}. Try again when the storage and the way to it work"
    return StorageRefused(f"{place}: {why}.{_UNKNOWN[doing]} {remedy}.")


def identity_of(credentials: Any) -> str:
    """Whom credentials of Google's libraries stand for, in words."""
    if credentials is None or type(credentials).__name__ == "AnonymousCredentials":
        return "nobody (no credentials)"
    email = getattr(credentials, "service_account_email", None)
    # "default" until the metadata server was asked.
    if email and email != "default":
        return str(email)
    return "the Application Default Credentials of this process"


@contextmanager
def asking_google(place: str, doing: Doing, credentials: Callable[[], Any]) -> Iterator[None]:
    """While in it, a refusal of Google's client or no answer at all is a StorageRefused; other errors stay as they are.

    Args:
        credentials: what the client asks with; called when it was refused.
    """
    try:
        yield
    except Exception as error:
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import InvalidResponse
        from requests.exceptions import RequestException

        # What the client tried until its time ran out is the cause of a RetryError.
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, GoogleAPICallError) and is_refusal(cause.code):
            raise refusal(place, doing, cause.code, cause.message, identity_of(credentials())) from error
        if isinstance(cause, InvalidResponse) and is_refusal(status := cause.response.status_code):
            raise refusal(place, doing, status, cause.args[0], identity_of(credentials())) from error
        if isinstance(cause, GoogleAuthError):
            raise refusal(place, doing, 401, cause, identity_of(None)) from error
        if isinstance(cause, RequestException | ConnectionError):
            raise refusal(place, doing, None, type(cause).__name__, identity_of(credentials())) from error
        raise


def is_refusal(status: int | None) -> bool:
    """Whether an HTTP status says nothing about what is there: no permission, or no answer for now."""
    return status is not None and (status in (401, 403, 408, 429) or status >= 500)


@contextmanager
def permitted(place: Path | str, doing: Doing) -> Iterator[None]:
    """While in it, a PermissionError of a local file system is a StorageRefused."""
    try:
        yield
    except PermissionError as error:
        where = error.filename or place
        raise StorageRefused(
            f"{where}: not allowed to {doing} ({os.strerror(error.errno) if error.errno else error})."
            f"{_UNKNOWN[doing]} Let {_user()} {_MODES[doing]} it (chmod, chown), or run as a user who may."
        ) from error


def entries(folder: Path) -> list[Path]:
    """What lies directly in a folder, sorted; nothing when there is no such folder. `Path.glob` passes over what it may not list.

    Raises:
        StorageRefused: it may not be listed.
    """
    with permitted(folder, "list"):
        try:
            return sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []


def _user() -> str:
    number = os.geteuid()
    try:
        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:
        return f"uid {number}"
