"""For a person at a shell: `python -m tests.cluster` serves the test cluster with its nodes until Ctrl-C.

It prints the environment variable that leads there, ready to be pasted into another shell.
"""

import contextlib
import signal

from tests.cluster.cluster import serving

if __name__ == "__main__":
    with serving() as cluster, contextlib.suppress(KeyboardInterrupt):
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
        signal.pause()
