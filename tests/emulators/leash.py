"""Runs a command that must not outlive the process that started it: `python leash.py COMMAND…`.

The starter keeps this process's standard input open. When that closes (the starter let go, was interrupted or was
killed), the whole process group dies: the command and whatever it started. Start it in a session of its own, or the
starter dies too.
"""

import os
import signal
import subprocess
import sys
import threading


def kill_group_when_let_go() -> None:
    """Blocks until standard input ends. What a server was doing is of no use to anybody then."""
    sys.stdin.buffer.read()
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=kill_group_when_let_go, daemon=True).start()
    # Not sys.exit: the interpreter cannot shut down while the thread waits for standard input.
    os._exit(command.wait())
