"""The report page: one self-contained HTML file that says what was found, for whom, and how far it can be trusted.

Belongs here: the page and its charts (inline SVG). Does not belong here: computing any figure on it.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).with_name("page.html")
INK, PEER, FAINT = "#1f4e79", "#b0611a", "#9aa5b1"


def render_report(figures: Mapping[str, Any]) -> str:
    """The page for the figures that `assets.py` gathers; equal figures give equal bytes.

    Args:
        figures: `campaign`, `audience`, `training`, `leaderboard`, `by_time`, `importance`, `promotion`, `lineage`, and
            `held_out` (None while no label is known).
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": _percent, "number": _number, "auc": lambda value: f"{value:.3f}"}
    held_out = figures["held_out"]
    charts = {
        "size": _size_chart(figures["audience"]["curve"]),
        "time": _time_chart(figures["by_time"]) if len(figures["by_time"]) > 1 else "",
        "gains": _gains_chart(held_out) if held_out else "",
        "calibration": _calibration_chart(held_out["calibration"]) if held_out else "",
    }
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(**figures, charts=charts)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f}\u00a0%"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _gains_chart(held_out: Mapping[str, Any]) -> str:
    figure, axes = _figure("share of people contacted", "share of positives found")
    for rows, colour, label in (
        (held_out["gains"], INK, "this model"),
        (held_out["rule_gains"], PEER, f"ordering by {held_out['rule']['column']}"),
    ):
        axes.plot([0, *(r["contacted"] for r in rows)], [0, *(r["found"] for r in rows)], color=colour, label=label)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", label="at random")
    axes.legend(frameon=False, loc="lower right")
    return _svg(figure, "Gains: positives found against people contacted")


def _calibration_chart(rows: Sequence[Mapping[str, float]]) -> str:
    figure, axes = _figure("predicted rate", "actual rate")
    top = max(max(r["predicted"], r["actual"]) for r in rows) * 1.05 or 1.0
    axes.plot([0, top], [0, top], color=FAINT, linestyle=":")
    axes.plot([r["predicted"] for r in rows], [r["actual"] for r in rows], color=INK, marker="o")
    return _svg(figure, "Calibration: predicted against actual rate, by tenth of people")


def _time_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    figure, axes = _figure("", "rate of positives")
    places = range(len(rows))
    axes.plot(places, [r["predicted"] for r in rows], color=INK, marker="o", label="predicted")
    axes.plot(places, [r["actual"] for r in rows], color=PEER, marker="s", label="actual")
    axes.set_xticks(list(places), [r["when"] for r in rows], rotation=30, ha="right")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return _svg(figure, "Predicted and actual rate over time")


def _size_chart(rows: Sequence[Mapping[str, float]]) -> str:
    figure, axes = _figure("size of the audience (people)", "mean score")
    axes.plot([r["people"] for r in rows], [r["mean_score"] for r in rows], color=INK)
    axes.set_ylim(bottom=0)
    return _svg(figure, "Size against expected rate")


def _figure(across: str, up: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Any, title: str) -> str:
    """The figure as inline SVG that names itself to screen readers and is the same bytes in every run."""
    import html

    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    # Ids must differ between the charts of one page.
    prefix = re.sub(r"\W+", "-", title.lower())
    drawing = re.sub(r'\bid="', f'id="{prefix}-', drawing)
    drawing = re.sub(r'(xlink:href="|url\()#', rf"\g<1>#{prefix}-", drawing)
    label = html.escape(title, quote=True)
    return drawing.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
