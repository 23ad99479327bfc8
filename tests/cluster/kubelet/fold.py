"""One fold of a small made-up training set, fitted and stored as a step does it; prints what came of it as JSON.

Run inside the container (`python fold.py FOLDER`), and on this machine for comparison. Stands on the platform alone.
"""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import platform_assets
from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.past import PAST_FILE, Past
from platform_assets.campaigns.training.fold_artifacts import TrainingTask, fit_fold_of
from platform_assets.campaigns.training_sets.training_set import FILE
from platform_assets.foundation.artifacts import Artifact, ArtifactStore, Recipe

ROWS, FOLDS, FEATURES = 3000, 3, 6
SPEC = CampaignSpec.model_validate(
    {
        "owner": "team:smoke",
        "description": "Who will order within 30 days?",
        "entity": "person",
        "label": {"event": "orders", "within": "30d"},
        "audience": {"top": "10%"},
        "advanced": {"models": {"lightgbm": {"num_leaves": 7}}, "folds": FOLDS, "seed": 1},
    }
)


def fitted(folder: Path) -> dict[str, Any]:
    """Fits fold 0 with LightGBM in a store below `folder`. Equal content hashes mean equal files."""
    store = ArtifactStore(folder)
    made = fit_fold_of(TrainingTask("smoke", SPEC, _training_set(store), store), "lightgbm", 0)
    return {"content_hash": made.ref.content_hash, "auc": made.metadata["auc"], "hit": made.hit}


def surroundings() -> dict[str, Any]:
    """Who this process is and what it may do, as the kernel says."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "user": os.getuid(),
        "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
        "may_gain_privileges": status["NoNewPrivs"].strip() == "0",
        "system_calls_filtered": status["Seccomp"].strip() == "2",
        "root_is_read_only": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
        "platform": str(Path(platform_assets.__file__).parent),
    }


def _training_set(store: ArtifactStore) -> Artifact:
    random = np.random.default_rng(7)
    values = random.normal(size=(ROWS, FEATURES))
    people = np.arange(ROWS)
    columns: dict[str, Any] = {
        "person_id": people,
        "as_of": pa.array([datetime(2026, 1, 6, tzinfo=UTC)] * ROWS, pa.timestamp("us", tz="UTC")),
        "label": (values[:, 0] + random.normal(size=ROWS) > 0).astype(np.int64),
        "fold": people % FOLDS,
        **{f"feature_{number}": values[:, number] for number in range(FEATURES)},
    }

    def build(target: Path) -> dict[str, Any]:
        pq.write_table(pa.table(columns), target / FILE)
        (target / PAST_FILE).write_text(json.dumps(Past().to_json()))
        return {"timezone": "UTC"}

    return store.get_or_build(Recipe(key="smoke/training_set", code={}, config={"rows": ROWS}, inputs={}), build)


if __name__ == "__main__":
    print(json.dumps(fitted(Path(sys.argv[1])) | surroundings()))
