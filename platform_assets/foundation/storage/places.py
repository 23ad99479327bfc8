"""Which kind of storage a place is.

Belongs here: the choice. Nothing is opened, and no client library imported, before the first file is asked for.
"""

from pathlib import Path

from platform_assets.foundation.storage.bucket import Bucket
from platform_assets.foundation.storage.files import Files
from platform_assets.foundation.storage.folder import Folder
from platform_assets.foundation.storage.memory import Memory

SCHEMES: dict[str, type[Bucket] | type[Memory]] = {"gs": Bucket, "memory": Memory}


def files_at(root: str | Path) -> Files:
    """The files below `root`: a local folder, `gs://bucket/prefix`, or `memory://name` (this process only).

    Raises:
        ValueError: a URL of another kind.
    """
    scheme, separator, place = str(root).partition("://")
    if not separator:
        return Folder(Path(root))
    if scheme not in SCHEMES or not place.strip("/"):
        raise ValueError(f"{root} is not a place for files; give a local folder or gs://<bucket>/<prefix>")
    return SCHEMES[scheme](place.strip("/"))
