"""A process that brings what is new of films in S3: `python -m tests.data.transfer.bringer s3://… <exports root>`."""

import sys

from platform_assets.data.transfer.bringing import bring
from platform_assets.data.transfer.crossing import Terms
from tests.data.exports.breaking import FILMS

TERMS = Terms(in_flight=4_000, at_once=4, lease_seconds=3)

if __name__ == "__main__":
    origin, exports = sys.argv[1:]
    brought = bring(FILMS.model_copy(update={"origin": origin}), exports, TERMS)
    assert brought is not None
    print(brought.bytes_moved)
    sys.exit(1 if brought.held or brought.in_progress else 0)
