"""A look at a campaign before anything is trained: how many people, how many positives, how hard the question is.

It only looks: what is in the store is read, the rest is computed for the occasion.
"""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from platform_assets.campaigns.declaration.feature_choice import chosen_groups, feature_names
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec, TeacherLabel
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training_sets.population import everyone, exclusions, people_asked, with_conditions
from platform_assets.campaigns.training_sets.training_set import (
    FEW_POSITIVES,
    UNCERTAIN,
    join_features,
    labelled_rows,
    question_of,
    refuse_too_few,
    watermark_of,
)
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.tables import glance

if TYPE_CHECKING:
    import pandas as pd

MANY_TIMES = 12


@dataclass(frozen=True)
class Preview:
    """What a campaign would train on and score.

    Attributes:
        score_at: the as-of date it would score.
        population, asked: people known then, and those the campaign's condition leaves.
        excluded: exclusion condition → people it would make ineligible.
        by_time: (as-of date or month, rows, positives), oldest first.
        rule: (column, `high` or `low` first, AUC) of the best one-column rule.
        warnings: what to think about before training.
    """

    campaign: str
    score_at: date
    watermark: str
    population: int
    asked: int
    excluded: dict[str, int]
    by_time: list[tuple[str, int, int]]
    rule: tuple[str, str, float]
    warnings: list[str]


def preview_campaign(name: str, spec: CampaignSpec, work: Workspace) -> Preview:
    """Look at a campaign.

    Raises:
        TooFewPositives: under 50 of either class.
        NotCovered, ImmatureLabel, TeacherError, MartMissing, MartRefused: it cannot be trained at all.
    """
    from platform_assets.learning.figures.metrics import one_column_table

    question, warehouse = question_of(name, spec, work), work.warehouse
    rows = labelled_rows(question, work)
    labels = rows.read()
    refuse_too_few(name, labels["label"].to_pylist())
    groups = chosen_groups(spec, work.groups).values()
    features = [glance(groups, spine, warehouse, work.store) for spine in rows.spines]
    names = feature_names(spec, work.groups)
    table = join_features(question.entity.key, names, labels, features).to_pandas()
    best = one_column_table(table[list(names)], table["label"]).iloc[0]
    population, asked, excluded = _people(question, warehouse)
    by_time = _by_time(table, question.entity.timezone)
    return Preview(
        campaign=name,
        score_at=question.as_of,
        watermark=watermark_of(spec, work).isoformat(),
        population=population,
        asked=asked,
        excluded=excluded,
        by_time=by_time,
        rule=(str(best["column"]), "high" if best["direction"] > 0 else "low", float(best["auc"])),
        warnings=_warnings(spec, by_time, asked, rows.set_aside),
    )


def rendered(preview: Preview) -> str:
    """A preview as text for a terminal."""
    lines = [
        f"{preview.campaign}: scores as of {preview.score_at} (exports cover everything before {preview.watermark})",
        f"  population   {preview.population:>9,}",
        f"  asked about  {preview.asked:>9,}",
        *(f"  excluded     {count:>9,}  {text}" for text, count in preview.excluded.items()),
        "",
        "  as of        rows      positives   base rate",
        *(
            f"  {when:<10} {rows:>7,} {positives:>12,} {positives / rows:>11.1%}"
            for when, rows, positives in preview.by_time
        ),
        "",
        f"  best one-column rule: {preview.rule[0]}, {preview.rule[1]} first, AUC {preview.rule[2]:.3f}",
        *(f"  warning: {warning}" for warning in preview.warnings),
    ]
    return "\n".join(lines)


def _people(question: Question, warehouse: Warehouse) -> tuple[int, int, dict[str, int]]:
    spec, entity, instant = question.spec, question.entity, question.instant
    asked = people_asked(warehouse, spec, instant)
    conditions = exclusions(spec, warehouse.catalog)
    held = with_conditions(warehouse, entity, asked, instant, conditions)
    excluded = {
        condition.text: int(warehouse.value(held[column].sum()) or 0) for column, condition in conditions.items()
    }
    population = everyone(warehouse, entity, instant)
    return int(warehouse.value(population.count())), int(warehouse.value(asked.count())), excluded


def _by_time(table: "pd.DataFrame", timezone: str) -> list[tuple[str, int, int]]:
    times = table["as_of"].dt.tz_convert(timezone)
    names = times.dt.strftime("%Y-%m" if times.nunique() > MANY_TIMES else "%Y-%m-%d")
    counted = table.groupby(names)["label"].agg(["size", "sum"])
    return [(str(when), int(row["size"]), int(row["sum"])) for when, row in counted.iterrows()]


def _warnings(spec: CampaignSpec, by_time: list[tuple[str, int, int]], asked: int, set_aside: int) -> list[str]:
    warnings = []
    positives = sum(hits for _, _, hits in by_time)
    if positives < FEW_POSITIVES:
        warnings.append(UNCERTAIN.format(positives))
    if not isinstance(spec.label, TeacherLabel):
        thin = [when for when, rows, hits in by_time if min(hits, rows - hits) == 0]
        if thin:
            warnings.append(f"one class only as of {', '.join(thin)}")
    if set_aside:
        warnings.append(
            f"{set_aside} teacher rows are left out: their {spec.horizon.days} days are not over in the data"
        )
    if isinstance(spec.audience.top, int) and spec.audience.top > asked:
        warnings.append(f"audience.top is {spec.audience.top}, and only {asked} people are asked about")
    return warnings
