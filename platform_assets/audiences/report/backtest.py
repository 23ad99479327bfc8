"""A campaign as it would have been answered at past dates: trained with what was known then, measured on what came true.

Nothing is promoted. Every part is cached, so that a second backtest, or the campaign itself, finds what this one made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from platform_assets.audiences.report.measurement import enough, measure
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec, TeacherLabel
from platform_assets.campaigns.registry.bundles import load_bundle
from platform_assets.campaigns.registry.past import Past, groups_for, with_past_scores
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training.in_process import TrainedCampaign, train_campaign
from platform_assets.campaigns.training_sets.calendar import newest_with_label
from platform_assets.campaigns.training_sets.label import label_mart
from platform_assets.campaigns.training_sets.training_rows import TrainingRows
from platform_assets.campaigns.training_sets.training_set import (
    TooFewPositives,
    event_rows,
    join_features,
    question_of,
    teacher_rows,
    watermark_of,
)
from platform_assets.data.catalog.business_day import latest_as_of
from platform_assets.data.features.tables import AsOfNotCovered, feature_table


@dataclass(frozen=True)
class Replay:
    """One past date: the figures of `measure`, or in a sentence why there are none."""

    day: date
    figures: dict[str, Any] | None
    why_not: str | None = None


def backtest_dates(spec: CampaignSpec, work: Workspace, dates: int, every: timedelta) -> list[date]:
    """The past scoring dates of a backtest, oldest first: the newest is the last whose labels are known by now."""
    catalog = work.warehouse.catalog
    entity = catalog.entities[spec.entity]
    mart = label_mart(spec)
    lag = catalog.marts[mart].arrival_lag if mart else timedelta()
    watermark = watermark_of(spec, work)
    newest = newest_with_label(watermark, entity.timezone, spec.horizon, lag)
    if isinstance(spec.label, TeacherLabel):
        # A teacher's rows are measured over a whole step, the last of which must have ended.
        newest = latest_as_of(watermark, entity.timezone) - spec.horizon - every
    return sorted(newest - every * index for index in range(dates))


def backtest(
    name: str, spec: CampaignSpec, work: Workspace, days: Sequence[date], every: timedelta
) -> Iterator[Replay]:
    """The campaign at each of `days`, in order.

    A teacher file's rows from the date on are measured for the length of `every`.
    """
    for day in days:
        try:
            question = question_of(name, spec, work, day)
            trained = train_campaign(question, work)
        except (AsOfNotCovered, TooFewPositives) as error:
            yield Replay(day, None, str(error))
            continue
        yield _measured(question, work, trained, every)


def _measured(question: Question, work: Workspace, trained: TrainedCampaign, every: timedelta) -> Replay:
    spec, entity, day = question.spec, question.entity, question.as_of
    if isinstance(spec.label, TeacherLabel):
        begins, ends = question.instant, question.at(day + every).instant
        rows = teacher_rows(spec, work, lambda as_of: begins <= as_of < ends)
    else:
        rows = event_rows(question, work, [day])
    table = rows.read()
    if not enough(table):
        return Replay(day, None, f"{table.num_rows} rows with a known label are too few to measure on")
    bundle = load_bundle(trained.ensemble)
    past = Past.of_bundle(bundle).scores
    groups = groups_for(spec, past, work.groups).values()
    features = [
        with_past_scores(feature_table(groups, spine, work.warehouse, work.store).table, past, work.store)
        for spine in rows.spines
    ]
    held_out = join_features(entity.key, bundle.feature_names, table, features).to_pandas()
    return Replay(
        day, measure(bundle, TrainingRows.of(trained.training).frame, held_out, bundle.feature_names, entity.key)
    )


def rendered(name: str, replays: Sequence[Replay]) -> str:
    """A backtest as text for a terminal."""
    lines = [
        f"{name}: trained as of each date with what was known then, measured on what came true",
        "  as of          rows  positives   AUC (95 %)            rule   logistic  log loss  predicted/actual  lift in top 10 %",
    ]
    for replay in replays:
        figures = replay.figures
        if figures is None:
            lines.append(f"  {replay.day}  {replay.why_not}")
            continue
        auc = figures["auc"]
        lines.append(
            f"  {replay.day} {figures['rows']:>8,} {figures['positives']:>10,}   {auc['value']:.3f} "
            f"({auc['low']:.3f} to {auc['high']:.3f})  {figures['rule']['auc']:.3f}  {figures['logistic_auc']:>8.3f} "
            f"{figures['log_loss']:>9.4f} {figures['predicted_over_actual']:>17.2f} "
            f"{figures['top_rate'] / figures['base_rate']:>17.2f}"
        )
    measured = [replay.figures for replay in replays if replay.figures]
    if measured:
        ahead = sum(figures["auc"]["value"] > figures["rule"]["auc"] for figures in measured)
        lines.append(f"  ahead of the one-column rule on {ahead} of {len(measured)} dates")
    return "\n".join(lines)
