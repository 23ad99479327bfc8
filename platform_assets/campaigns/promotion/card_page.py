"""The card of a promoted model: what it is for, made from, how good, for whom less so, and what to mind (Mitchell et
al. 2019).

Belongs here: what a card holds, its limits in words, and the card as JSON and as one self-contained page. Does not
belong here: computing any figure on it, storing it.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platform_assets.learning.data_checks.ageing import Ageing
    from platform_assets.learning.data_checks.ageing_replay import Replay
    from platform_assets.learning.data_checks.leaks import Finding
    from platform_assets.learning.figures.intervals import Estimate
    from platform_assets.learning.figures.slices import SliceReport

TEMPLATE = Path(__file__).with_name("card_page.html")
FEW_POSITIVES = 200
# Rates of positives further apart than this factor are told as drift.
RATE_MOVED = 1.25


@dataclass(frozen=True)
class CardFeature:
    """A feature the model was offered: `selected_by`, the members that look at it; `ageing`, whether it tells the
    date."""

    name: str
    group: str
    description: str
    selected_by: tuple[str, ...]
    ageing: bool = False


@dataclass(frozen=True)
class CardMember:
    """A member that weighs something: its fold models' parameters, and the device it was fitted on (`cpu`, `cuda`)."""

    name: str
    family: str
    weight: float
    parameters: Mapping[str, Any]
    device: str = "cpu"


@dataclass(frozen=True)
class CardFigures:
    """Figures with intervals of some rows: `when` they are as of, and whether they are `out of fold` or `held out`."""

    when: str
    part: str
    rows: int
    positives: int
    figures: Mapping[str, "Estimate"]


@dataclass(frozen=True)
class CardPast:
    """An earlier campaign that was learned from: its model's `score` as a feature, or its labels as a related
    `task`."""

    campaign: str
    score_at: str
    used_as: str
    content_hash: str


@dataclass(frozen=True)
class ModelCard:
    """Everything the card of one promoted model says.

    Attributes:
        campaign, owner, question, entity: whose model it is, what it answers, and about whom.
        decision: why it was promoted.
        score_at, as_of: ISO dates it is good from, and was trained as of.
        horizon_days: how far its label looks.
        watermark: the instant before which the exports cover everything it read.
        population, label: who was asked about and what counts as positive, as the campaign states them.
        rows, positives: of the training set.
        features, members, past: what it is made of.
        not_fitted: model → why it is no member.
        overall: out-of-fold figures of all rows; `by_date` the same for each as-of date, and of held-out dates.
        over_rule: AUC above the best one-column rule, named by `rule`; None where that was not compared.
        slices, leaks, ageing: what was looked for and found.
        ageing_choice, ageing_replays: what was made of ageing features, and the past dates that it was tried on.
        calibration: its method, and a row for each tenth of people: `bin`, `rows`, `predicted`, `actual`.
        lineage: what → fingerprint, content hash or commit.
    """

    campaign: str
    owner: str
    question: str
    entity: str
    decision: str
    score_at: str
    as_of: tuple[str, ...]
    horizon_days: int
    watermark: str
    population: str
    label: str
    rows: int
    positives: int
    features: tuple[CardFeature, ...]
    members: tuple[CardMember, ...]
    overall: CardFigures
    by_date: tuple[CardFigures, ...]
    slices: "SliceReport"
    leaks: tuple["Finding", ...]
    ageing: tuple["Ageing", ...]
    calibration_method: str
    calibration: tuple[Mapping[str, float], ...]
    lineage: Mapping[str, str]
    past: tuple[CardPast, ...] = ()
    not_fitted: Mapping[str, str] = field(default_factory=dict)
    rule: str = ""
    over_rule: "Estimate | None" = None
    ageing_choice: str = ""
    ageing_replays: tuple["Replay", ...] = ()

    @property
    def limits(self) -> list[str]:
        """What to mind, in sentences, each because a figure on this card says so."""
        return [
            *_limits_of_rows(self),
            *_limits_over_time(self),
            *_limits_of_slices(self),
            *_limits_of_making(self),
        ]

    def to_json(self) -> dict[str, Any]:
        """The card as plain values, its limits among them; None for figures that have no meaning."""
        return dict(_plain({**asdict(self), "limits": self.limits}))


def render_model_card(card: ModelCard) -> str:
    """The page of a card: one HTML file that loads nothing; equal cards give equal bytes."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    filters: dict[str, Callable[[float], Any]] = {
        "percent": lambda value: f"{value * 100:.1f}\u00a0%",
        "number": lambda value: f"{value:,.0f}",
        "exp": math.exp,
    }
    environment.filters |= filters
    environment.tests["nan"] = math.isnan
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(card=card)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _limits_of_rows(card: ModelCard) -> Iterator[str]:
    auc = card.overall.figures["auc"]
    if card.positives < FEW_POSITIVES:
        yield (
            f"It was made from {card.positives:,} positives only: its AUC of {auc.value:.3f} could as well be {auc.low:.3f} or "
            f"{auc.high:.3f}."
        )
    if card.over_rule is not None and card.over_rule.low <= 0:
        yield (
            f"It is not surely better than ordering people by {card.rule}: its AUC differs by {card.over_rule.value:+.3f} "
            f"({card.over_rule.low:+.3f} to {card.over_rule.high:+.3f})."
        )
    for finding in card.leaks:
        yield f"Possible leak ({finding.rule}). {finding.sentence}"


def _limits_over_time(card: ModelCard) -> Iterator[str]:
    dated = [each for each in card.by_date if each.positives]
    held_out = [each for each in dated if each.part == "held out"]
    if not held_out:
        yield (
            "All figures are out of fold, on the dates it was trained on. Behaviour of people changes: figures on later dates "
            "are usually different, and can only be told once their labels are known."
        )
    if len(dated) == 1:
        yield f"There is one date only ({dated[0].when}): nothing here tells how figures move from date to date."
    elif dated:
        least, most = min(dated, key=_rate), max(dated, key=_rate)
        surely = _rate(most) - _rate(least) > 2 * math.hypot(_rate_error(most), _rate_error(least))
        if surely and _rate(most) > RATE_MOVED * _rate(least):
            yield (
                f"The share of positives moves between dates, from {_rate(least):.1%} ({least.when}) to {_rate(most):.1%} "
                f"({most.when}): scores are comparable within a date, and only roughly between dates."
            )
        areas = {each.when: each.figures["auc"] for each in dated if not math.isnan(each.figures["auc"].low)}
        if areas:
            worst, best = (pick(areas, key=lambda when: areas[when].value) for pick in (min, max))
            if areas[worst].high < areas[best].low:
                yield (
                    f"How well it ranks moves between dates, from an AUC of {areas[worst].value:.3f} ({worst}) to "
                    f"{areas[best].value:.3f} ({best})."
                )
    for each in held_out or dated[-1:]:
        ratio = each.figures["predicted_over_actual"]
        if ratio.low > 1 or ratio.high < 1:
            yield (
                f"As of {each.when} ({each.part}) it promises {ratio.value:.2f} times as many positives as came "
                f"({ratio.low:.2f} to {ratio.high:.2f}): correct for that before multiplying scores by a value."
            )
    used = sorted(feature.name for feature in card.features if feature.ageing and feature.selected_by)
    if used:
        yield (
            f"It looks at features that grow with the calendar ({', '.join(used)}): its scores drift as time passes, whatever "
            "people do. Train it again often, or leave these features out."
        )


def _rate(dated: CardFigures) -> float:
    return dated.positives / dated.rows


def _rate_error(dated: CardFigures) -> float:
    return math.sqrt(_rate(dated) * (1 - _rate(dated)) / dated.rows)


def _limits_of_slices(card: ModelCard) -> Iterator[str]:
    ranked, calibrated = card.slices.worst_ranked, card.slices.worst_calibrated
    if ranked is not None:
        yield (
            f"It ranks worst among people with {ranked.column} {ranked.value}: an AUC of {ranked.auc:.3f}, where its "
            f"own probabilities promise {ranked.promised_auc:.3f} ({ranked.rows:,} rows)."
        )
    if calibrated is not None:
        yield (
            f"It is furthest off for people with {calibrated.column} {calibrated.value}: {calibrated.predicted:.1%} predicted, "
            f"{calibrated.actual:.1%} came true ({calibrated.rows:,} rows)."
        )
    if card.slices.left_out:
        yield f"Slices of the population with too few rows to judge: {card.slices.left_out}. Nothing is known about them."


def _limits_of_making(card: ModelCard) -> Iterator[str]:
    for model, why in card.not_fitted.items():
        yield f"{model} is no member, because it could not be fitted: {why}"
    if card.past:
        names = ", ".join(sorted({each.campaign for each in card.past}))
        yield f"It learned from earlier campaigns ({names}): what was wrong with those may be wrong here."
    if all(member.device == "cpu" for member in card.members):
        yield "All of it was fitted on CPUs; nothing here tells what the same code does on a GPU."
