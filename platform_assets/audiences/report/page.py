"""The report page: one self-contained HTML file that says what was found, for whom, and how far it can be trusted.

Belongs here: the page. Does not belong here: computing any figure on it, drawing (`charts.py`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platform_assets.audiences.report import charts

TEMPLATE = Path(__file__).with_name("page.html")


def render_report(figures: Mapping[str, Any]) -> str:
    """The page for the figures that `assets.py` gathers; equal figures give equal bytes.

    Args:
        figures: `headline`, `campaign`, `audience`, `training`, `leaderboard`, `by_time`, `importance`, `promotion`, `lineage`, and
            `held_out` (None while no label is known).
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": _percent, "number": _number, "auc": lambda value: f"{value:.3f}"}
    held_out = figures["held_out"]
    drawn = {
        "size": charts.size_chart(figures["audience"]["curve"]),
        "time": charts.time_chart(figures["by_time"]) if len(figures["by_time"]) > 1 else "",
        "gains": charts.gains_chart(held_out) if held_out else "",
        "calibration": charts.calibration_chart(held_out["calibration"]) if held_out else "",
    }
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(**figures, charts=drawn)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f}\u00a0%"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"
