"""The leaderboard as people read it: what was tried, how good it was out of fold, and what it cost."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from platform_assets.foundation.artifacts import Artifact

HEADER = (
    "| model | AUC | ± se | fold AUC | ± se | log loss | weight | fit CPU-s | rows a CPU-s | parameters | note |",
    "|---|---|---|---|---|---|---|---|---|---|---|",
)


def leaderboard_table(rows: Sequence[Mapping[str, Any]], models: Mapping[str, Artifact]) -> str:
    """Markdown: a line a model, the ensemble and the baselines, best log loss first; then what was not fitted."""
    lines = [*HEADER, *(_line(row, models.get(row["model"])) for row in rows)]
    for name, model in models.items():
        if "not_fitted" in model.metadata:
            lines.append(f"| {name} |" + " |" * 9 + f" not fitted: {model.metadata['not_fitted']} |")
    return "\n".join(lines)


def _line(row: Mapping[str, Any], model: Artifact | None) -> str:
    fit = rows_a_second = ""
    if model is not None:
        fit = f"{model.metadata['cpu_seconds']:.1f}"
        rows_a_second = f"{model.metadata['rows_a_cpu_second']:,.0f}"
    cells = [
        row["model"],
        f"{row['auc']:.4f}",
        f"{row['auc_se']:.4f}",
        "" if row["fold_auc"] is None else f"{row['fold_auc']:.4f}",
        "" if row["fold_auc_se"] is None else f"{row['fold_auc_se']:.4f}",
        f"{row['log_loss']:.4f}",
        "" if row["weight"] is None else f"{row['weight']:.2f}",
        fit,
        rows_a_second,
        json.dumps(row["parameters"]) if row["parameters"] else "",
        row["note"],
    ]
    return f"| {' | '.join(cells)} |"
