"""For a person at a shell: `python -m tests.emulators FOLDER` serves both emulators until Ctrl-C.

It prints the environment variables that lead there, ready to be pasted into another shell; what was written stays in
FOLDER for the next time.
"""

import contextlib
import signal
import sys
from pathlib import Path

from tests.emulators.clients import storage_client
from tests.emulators.namespaces import buckets_of
from tests.emulators.servers import serving

PROJECT = "emulated-platform"

if __name__ == "__main__":
    with serving(Path(sys.argv[1]).resolve()) as emulators, contextlib.suppress(KeyboardInterrupt):
        variables = emulators.variables(PROJECT)
        storage = storage_client(variables)
        for bucket in buckets_of(variables):
            if not storage.bucket(bucket).exists():
                storage.create_bucket(bucket)
        for name, value in variables.items():
            print(f"export {name}={value}", flush=True)
        signal.pause()
