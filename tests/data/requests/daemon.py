"""A process that looks whenever a line says what time it is: `python -m tests.data.requests.daemon <exports root>`."""

import sys
from datetime import datetime

from platform_assets.data.requests.asking import ask, await_exports
from tests.data.requests.conftest import SPEC

if __name__ == "__main__":
    for line in sys.stdin:
        now = datetime.fromisoformat(line.strip())
        refusals = [look.refusals for look in (*ask(SPEC, sys.argv[1], now), *await_exports(SPEC, sys.argv[1], now))]
        print("refused" if any(refusals) else "looked", flush=True)
