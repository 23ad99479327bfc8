"""Reading a stored file that must be there. The places to read from are in roots.py."""

from platform_assets.foundation.storage import Files, Stored


def stored(files: Files, name: str) -> Stored:
    """The file. Raises AssertionError when there is none."""
    read = files.read(name)
    assert read is not None, name
    return read
