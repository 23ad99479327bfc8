"""How good an ensemble is out of fold, for whom less so, and what it leans on: plain values, for reports, cards and gates.

Belongs here: asking `learning` for the figures of a training set's rows. Does not belong here: how any figure is computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.training.out_of_fold import folds_of
from platform_assets.campaigns.training_sets.training_rows import TrainingRows
from platform_assets.foundation.artifacts import Artifact, ArtifactStore

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from platform_assets.learning.combine import Combination

MANY_TIMES = 24
RESAMPLES = 200
SLICED = 6
IMPORTANCE_ROWS = 1000


def leaderboard_of(
    rows: TrainingRows, combined: "Combination", models: Mapping[str, Artifact], seed: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The models, the ensemble and the baselines, a row each, best log loss first; and the ensemble's AUC over the rule's.

    What they cost is in the models' metadata: equal models must have equal content, and timings never are.
    """
    from platform_assets.learning.figures.intervals import differences_with_intervals
    from platform_assets.learning.leaderboard import ONE_COLUMN, baseline_candidates

    baselines = baseline_candidates(rows.values, rows.labels, rows.frame["fold"].to_numpy(), seed)
    listed = [
        asdict(row) | {"device": models[row.model].metadata["device"] if row.model in models else None}
        for row in combined.leaderboard(baselines)
    ]
    rule = baselines[ONE_COLUMN]
    gained = differences_with_intervals(
        rows.labels, combined.calibrated, rule.predictions, rows.people, resamples=RESAMPLES, seed=seed
    )
    over_rule = {"rule": rule.note, "auc": {key: _known(value) for key, value in asdict(gained["auc"]).items()}}
    return listed, over_rule


def figures_of(
    rows: TrainingRows, calibrated: "npt.NDArray[np.float64]", seed: int, chosen: Any = slice(None)
) -> dict[str, dict[str, Any]]:
    """Every figure of the `chosen` rows (all, or a mask) with its interval, by a bootstrap over people."""
    from platform_assets.learning.figures.intervals import figures_with_intervals

    found = figures_with_intervals(
        rows.labels[chosen], calibrated[chosen], rows.people[chosen], resamples=RESAMPLES, seed=seed
    )
    return {name: {key: _known(value) for key, value in asdict(one).items()} for name, one in found.items()}


def by_time(rows: TrainingRows, calibrated: "npt.NDArray[np.float64]", seed: int) -> list[dict[str, Any]]:
    """The same per as-of date; own as-of times of each row are taken together by month."""
    import numpy as np

    times = rows.frame["as_of"].dt.tz_convert(rows.timezone)
    names = times.dt.strftime("%Y-%m" if times.nunique() > MANY_TIMES else "%Y-%m-%d").to_numpy()
    rows_by_time = []
    for when in np.unique(names):
        mine = names == when
        figures = figures_of(rows, calibrated, seed, mine)
        rows_by_time.append(
            {
                "when": str(when),
                "rows": int(mine.sum()),
                "positives": int(rows.labels[mine].sum()),
                "auc": figures["auc"]["value"],
                "predicted": float(calibrated[mine].mean()),
                "actual": float(rows.labels[mine].mean()),
                "figures": figures,
            }
        )
    return rows_by_time


def slices_of(rows: TrainingRows, calibrated: "npt.NDArray[np.float64]", features: Sequence[str]) -> dict[str, Any]:
    """Figures of ranges of the first of `features`, each against all rows, and the worst of them (`SliceReport`)."""
    from platform_assets.learning.figures.slices import slice_report

    return asdict(slice_report(rows.labels, calibrated, rows.values[list(features[:SLICED])], rows.people))


def calibration_table(rows: TrainingRows, calibrated: "npt.NDArray[np.float64]") -> list[dict[str, Any]]:
    """A row for each tenth of the rows, highest probabilities first: `bin`, `rows`, `predicted`, `actual`."""
    from platform_assets.learning.figures import metrics

    # A tenth without a positive has no ratio of predicted to actual, and JSON no word for that.
    table = metrics.calibration_table(rows.labels, calibrated).drop(columns="ratio")
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def importance_of(
    weights: Mapping[str, float], models: Mapping[str, Artifact], rows: TrainingRows, seed: int, store: ArtifactStore
) -> list[dict[str, Any]]:
    """How much the models lean on each feature, most first: each fold's models judged on the rows they have not seen.

    `importance` is the AUC lost when the feature's values are dealt out anew, `contribution` the mean size of what the
    feature adds to the log-odds (TreeSHAP; None where no member is trees); each with its standard deviation over folds.
    """
    from platform_assets.learning.bundle import Bundle
    from platform_assets.learning.explain import importance_over_folds

    parts = {member: folds_of(models[member], store) for member, weight in weights.items() if weight > 0}
    judged = []
    for fold in range(len(next(iter(parts.values())))):
        mine = {m: (models[m].metadata["family"], [importance[fold].estimator]) for m, importance in parts.items()}
        held_out = (rows.frame["fold"] == fold).to_numpy()
        if 0 < rows.labels[held_out].sum() < held_out.sum():
            unseen = Bundle.of(weights, mine, None, rows.features)
            judged.append((unseen, rows.values[held_out], rows.labels[held_out]))
    importance = importance_over_folds(judged, max_rows=IMPORTANCE_ROWS, repeats=1, seed=seed)
    return [
        {
            "feature": row["feature"],
            "importance": row["auc_drop"],
            "importance_sd": _known(row["auc_drop_sd"]),
            "contribution": _known(row["mean_abs_contribution"]),
            "contribution_sd": _known(row["mean_abs_contribution_sd"]),
        }
        for row in importance.to_dict("records")
    ]


def _known(value: float) -> float | None:
    """JSON has no word for NaN."""
    return None if value != value else float(value)
