"""A report in a few lines for a terminal.

Belongs here: reading published figures, and words for them. Does not belong here: any figure (`figures`).
"""

import json
from datetime import date
from typing import Any

from platform_assets.audiences.audience.audience import CSV_FILE
from platform_assets.audiences.audience.publication import folder_of
from platform_assets.audiences.report.figures import FIGURES_FILE, FILE
from platform_assets.environment import Environment
from platform_assets.foundation.storage import files_at


def summary_lines(campaign: str, day: date, environment: Environment) -> list[str]:
    """What a person wants to know of a campaign's answer as of a date, and where audience and report are.

    Raises:
        FileNotFoundError: there is no report of that date.
    """
    reports = files_at(folder_of(environment.reports, campaign, day.isoformat()))
    audiences = files_at(folder_of(environment.audiences, campaign, day.isoformat()))
    stored = reports.read(FIGURES_FILE)
    if stored is None:
        raise FileNotFoundError(
            f"{reports.location(FIGURES_FILE)} is not there; materialise {campaign}/report as of {day}"
        )
    figures = json.loads(stored.content)
    audience, training = figures["audience"], figures["training"]
    out_of_fold = "  ".join(
        f"{row['when']} {row['auc']:.3f}"
        for row in figures["by_time"]
        if row["part"] == "out of fold" and row["auc"] is not None
    )
    return [
        f"  people {audience['people']:,}, training rows {training['rows']:,}, positives {training['positives']:,}, base rate {training['base_rate']:.1%}",
        f"  out-of-fold AUC      {out_of_fold}",
        *_held_out_lines(figures["held_out"]),
        f"  audience             {audience['selected']:,} people ({audience['treat']:,} to treat, {audience['holdout']:,} held out)",
        f"                       {audiences.location(CSV_FILE)}",
        f"  report               {reports.location(FILE)}",
    ]


def _held_out_lines(held_out: dict[str, Any] | None) -> list[str]:
    if held_out is None:
        return ["  held out             not known yet: the horizon is not over in the exports"]
    rule, best = held_out["rule"], held_out["best_column_in_hindsight"]
    low, high = held_out["auc"]["low"], held_out["auc"]["high"]
    return [
        f"  held-out AUC         {held_out['auc']['value']:.3f} ({low:.3f} to {high:.3f}); {rule['column']} alone {rule['auc']:.3f}, "
        f"best column in hindsight {best['auc']:.3f}, logistic {held_out['logistic_auc']:.3f}",
        f"  held-out rate        {held_out['base_rate']:.1%} of {held_out['rows']:,} rows; predicted/actual {held_out['predicted_over_actual']:.2f}; "
        f"top decile {held_out['top_rate']:.1%}, the rule's {held_out['rule_top_rate']:.1%}",
    ]
