"""Which kind of storage a place is.

Belongs here: the choice. Nothing is opened, and no client library imported, before the first file is asked for.
"""

from pathlib import Path

from platform_assets.foundation.storage.bucket import Bucket
from platform_assets.foundation.storage.files import Files
from platform_assets.foundation.storage.folder import Folder


def files_at(root: str | Path) -> Files:
    """The files below `root`: a local folder or `gs://bucket/prefix`.

    Raises:
        ValueError: a URL of another kind.
    """
    scheme, separator, place = str(root).partition("://")
    if not separator:
        return Folder(Path(root))
    if scheme != "gs" or not place.strip("/"):
        raise ValueError(f"{root} is not a place for files; give a local folder or gs://<bucket>/<prefix>")
    return Bucket(place.strip("/"))
