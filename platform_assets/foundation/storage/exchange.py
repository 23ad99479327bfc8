"""Two folders change places at one instant: the one step by which a whole folder is replaced.

Belongs here: that step, for which Python has no call. Does not belong here: replacing files (`folder`).
"""

import ctypes
import os
from pathlib import Path

from platform_assets.foundation.storage.refusal import StorageRefused

# https://man7.org/linux/man-pages/man2/renameat2.2.html
_HERE, _EXCHANGE = -100, 2


def exchange(one: Path, other: Path) -> None:
    """Let two folders of one file system change places; whoever looks sees the one or the other, never none.

    Raises:
        StorageRefused: the file system cannot; nothing was changed.
    """
    system = ctypes.CDLL(None, use_errno=True)
    if system.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE):
        reason = os.strerror(ctypes.get_errno())
        raise StorageRefused(
            f"{other}: this file system cannot let two folders change places ({reason}). Delete the folder, and load what was in it anew."
        )
