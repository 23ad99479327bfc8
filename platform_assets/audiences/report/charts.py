"""The charts of a report, as SVG: those on its page, and the picture of its lift that stands alone.

Belongs here: drawing. Does not belong here: computing any figure that is drawn. Equal figures give equal bytes.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

INK, PEER, FAINT = "#1f4e79", "#b0611a", "#9aa5b1"


def lift_chart(tenths: Sequence[Mapping[str, float]], base_rate: float, measured: str) -> str:
    """How many times as many positives each tenth of people holds as all of them, highest scores first.

    Args:
        tenths: rows with `actual`, the rate of positives, the highest scores first.
        measured: on which rows, for the title.
    """
    figure, axes = _figure("tenth of people, highest scores first", "positives, times all people's")
    lifts = [row["actual"] / base_rate for row in tenths]
    places = range(1, len(lifts) + 1)
    bars = axes.bar(places, lifts, color=[INK, *[FAINT] * (len(lifts) - 1)])
    axes.bar_label(bars, labels=[f"{lift:.1f}" for lift in lifts], fontsize="small")
    axes.axhline(1, color=PEER, linestyle=":")
    axes.set_xticks(list(places))
    axes.set_title(f"Lift, {measured}", fontsize="medium")
    return _svg(figure, f"Lift by tenth of people, {measured}")


def gains_chart(held_out: Mapping[str, Any]) -> str:
    figure, axes = _figure("share of people contacted", "share of positives found")
    for rows, colour, label in (
        (held_out["gains"], INK, "this model"),
        (held_out["rule_gains"], PEER, f"ordering by {held_out['rule']['column']}"),
    ):
        axes.plot([0, *(r["contacted"] for r in rows)], [0, *(r["found"] for r in rows)], color=colour, label=label)
    axes.plot([0, 1], [0, 1], color=FAINT, linestyle=":", label="at random")
    axes.legend(frameon=False, loc="lower right")
    return _svg(figure, "Gains: positives found against people contacted")


def calibration_chart(rows: Sequence[Mapping[str, float]]) -> str:
    figure, axes = _figure("predicted rate", "actual rate")
    top = max(max(r["predicted"], r["actual"]) for r in rows) * 1.05 or 1.0
    axes.plot([0, top], [0, top], color=FAINT, linestyle=":")
    axes.plot([r["predicted"] for r in rows], [r["actual"] for r in rows], color=INK, marker="o")
    return _svg(figure, "Calibration: predicted against actual rate, by tenth of people")


def time_chart(rows: Sequence[Mapping[str, Any]]) -> str:
    figure, axes = _figure("", "rate of positives")
    places = range(len(rows))
    axes.plot(places, [r["predicted"] for r in rows], color=INK, marker="o", label="predicted")
    axes.plot(places, [r["actual"] for r in rows], color=PEER, marker="s", label="actual")
    axes.set_xticks(list(places), [r["when"] for r in rows], rotation=30, ha="right")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    return _svg(figure, "Predicted and actual rate over time")


def size_chart(rows: Sequence[Mapping[str, float]]) -> str:
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
