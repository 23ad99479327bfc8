"""The gate's last decision where people look: a file beside a campaign's model cards, replaced at each decision.

Belongs here: what it says, and putting it there. Does not belong here: deciding (`gate.py`), and what is promoted (the
registry): nothing is computed from this file.
"""

import json

from platform_assets.environment import Environment
from platform_assets.foundation.storage import files_at

FILE = "decision.json"


def publish_decision(name: str, score_at: str, outcome: str, reason: str, environment: Environment) -> None:
    """Say that the gate decided so (`promoted`, `kept` or `refused`) on a challenger that would score from `score_at` on."""
    decision = {"outcome": outcome, "reason": reason, "score_at": score_at}
    content = json.dumps(decision, indent=1, sort_keys=True).encode()
    files_at(environment.reports).write(f"{name}/{FILE}", content)
