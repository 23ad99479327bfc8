"""Training sets: labels joined to features as of the same times, audited, and kept.

A training set is one Parquet file: entity key, as_of (UTC instant), label (0 or 1), fold (0 … K−1, by person), the
campaign's features, and the scores of earlier campaigns. Its metadata says for which scoring date it was made, and which
of the features its models do not see.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.campaigns.declaration.feature_choice import chosen_groups, feature_names, may_be_left_out
from platform_assets.campaigns.declaration.question import Question
from platform_assets.campaigns.declaration.spec import CampaignSpec, TeacherLabel
from platform_assets.campaigns.registry.past import PAST_FILE, Past, find_past, groups_for, with_past_scores
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training_sets.ageing import choose, keep, sentence_of
from platform_assets.campaigns.training_sets.calendar import TrainingDates, training_dates
from platform_assets.campaigns.training_sets.inspection import inspect
from platform_assets.campaigns.training_sets.label import event_labels, label_mart, version_of_labels
from platform_assets.campaigns.training_sets.population import marts_read, people_asked
from platform_assets.campaigns.training_sets.teacher import kept_teacher
from platform_assets.data.catalog.business_day import latest_as_of
from platform_assets.data.conditions.parsing import parse_person_condition
from platform_assets.data.engines.reading import Warehouse
from platform_assets.data.features.holdings import Holdings
from platform_assets.data.features.spine import Spine
from platform_assets.data.features.tables import feature_table
from platform_assets.data.features.windows import instant_literal
from platform_assets.data.quality import Allowed, Columns, Key, RowCount, Rule, ShareBounds, audit
from platform_assets.foundation.artifacts import Artifact, Recipe, code_of

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "training_set.parquet"
FEWEST_POSITIVES = 50
FEW_POSITIVES = 200
UNCERTAIN = f"only {{}} positives; figures will be uncertain below {FEW_POSITIVES}"


class TooFewPositives(ValueError):
    """A training set with too few positives to learn from."""


@dataclass(frozen=True)
class LabelledRows:
    """People, as-of times and labels, before features are joined.

    Attributes:
        read: computes the table: columns (entity key, as_of, label). Not called when the result is in the store.
        spines: what to ask features for; together they hold every row of the table.
        inputs: name → content version of everything the labels and the choice of people look at.
        set_aside: teacher rows left out because their label is not known yet.
    """

    read: Callable[[], "pa.Table"]
    spines: tuple[Spine, ...]
    inputs: Mapping[str, str]
    set_aside: int = 0


def marts_of(spec: CampaignSpec, holdings: Holdings) -> tuple[str, ...]:
    """Every mart a campaign reads, sorted: population, conditions, label, features."""
    catalog = holdings.catalog
    entity = catalog.entities[spec.entity]
    texts = [text for text in (spec.population, *spec.audience.exclude) if text is not None]
    conditions = [parse_person_condition(text, catalog, spec.entity) for text in texts]
    names = set(marts_read(catalog, entity, conditions))
    names |= {mart for group in chosen_groups(spec, holdings.groups).values() for mart in group.marts}
    return tuple(sorted(names | {name for name in (label_mart(spec),) if name is not None}))


def versions_before(question: Question, work: Workspace) -> dict[str, str]:
    """The content versions of every mart a campaign reads, of what it may know as of its date, by name."""
    return {
        f"{mart} before {question.as_of}": work.warehouse.version_before(mart, question.instant)
        for mart in marts_of(question.spec, work.holdings)
    }


def watermark_of(spec: CampaignSpec, work: Workspace) -> datetime:
    """UTC instant before which the exports cover everything the campaign reads from event marts."""
    return work.warehouse.watermark(*marts_of(spec, work.holdings))


def score_date(spec: CampaignSpec, work: Workspace, score_at: date | None = None) -> date:
    """The as-of date a campaign's model is made for: the file's, or `score_at`, to replay the campaign as of a past one.

    Raises:
        NotCovered, ImmatureLabel: it cannot be asked as of then.
    """
    return _dates(spec, work, score_at).score_at


def question_of(name: str, spec: CampaignSpec, work: Workspace, score_at: date | None = None) -> Question:
    """A campaign as of its scoring date. Raises as `score_date`."""
    return work.question(name, spec, score_date(spec, work, score_at))


def labelled_rows(question: Question, work: Workspace) -> LabelledRows:
    """The rows a campaign trains on, given what was known at its scoring date.

    Raises:
        NotCovered, ImmatureLabel, TeacherError: see where they are defined.
    """
    if isinstance(question.spec.label, TeacherLabel):
        known_by = question.instant - question.spec.horizon
        return teacher_rows(question.spec, work, lambda as_of: as_of <= known_by)
    return event_rows(question, work, _dates(question.spec, work, question.as_of).as_of)


def event_rows(question: Question, work: Workspace, days: Sequence[date]) -> LabelledRows:
    """The people a campaign asks about as of some dates, with their labels.

    Raises:
        ImmatureLabel: when read, a label is not known yet.
    """
    asked = [question.at(day) for day in days]
    inputs = {}
    for one in asked:
        inputs[f"labels as of {one.as_of}"] = version_of_labels(one, work.warehouse)
        inputs |= versions_before(one, work)

    def read() -> "pa.Table":
        import pyarrow as pa

        return pa.concat_tables([_labelled_people(one, work.warehouse) for one in asked])

    return LabelledRows(read, tuple(Spine.of_population(one.entity, one.instant) for one in asked), inputs)


def teacher_rows(spec: CampaignSpec, work: Workspace, wanted: Callable[[datetime], bool]) -> LabelledRows:
    """The rows of a campaign's teacher file whose as-of time is `wanted`. No spine when there are none.

    Raises:
        TeacherError, ImmatureLabel: the file cannot be used.
    """
    import pyarrow as pa

    entity = work.warehouse.catalog.entities[spec.entity]
    teacher = kept_teacher(spec, work)
    table = teacher.table.filter(pa.array([wanted(as_of) for as_of in teacher.table["as_of"].to_pylist()], pa.bool_()))
    if not table.num_rows:
        return LabelledRows(lambda: table, (), {"teacher file": teacher.content_hash}, teacher.set_aside)
    spine = Spine.of_rows(entity, table.select([entity.key, "as_of"]))
    inputs = {"teacher file": teacher.content_hash, "rows": spine.content_id}
    return LabelledRows(lambda: table, (spine,), inputs, teacher.set_aside)


def _labelled_people(question: Question, warehouse: Warehouse) -> "pa.Table":
    key, instant = question.entity.key, question.instant
    labels = event_labels(question, warehouse, people_asked(warehouse, question.spec, instant))
    rows = labels.select(key, as_of=instant_literal(instant), label=labels.label)
    return warehouse.to_arrow(rows.order_by(key))


def build_training_set(question: Question, work: Workspace) -> Artifact:
    """A campaign's training set as of its scoring date (`question_of`): found, or made and audited.

    Its files: the rows, with the scores of earlier campaigns as the last columns; what was taken from those campaigns
    (`past`); what was found in the rows (`inspection`), and what was made of it (`ageing`).

    Raises:
        AuditFailed: a critical rule failed; nothing was published.
        TooFewPositives: fewer than 50 positives, or as few negatives.
        LeakFound: a feature holds the answer, or whom a row is about.
        NotCovered, ImmatureLabel, TeacherError: the rows asked for cannot be had.
    """
    name, spec, entity, at = question.name, question.spec, question.entity, question.as_of
    rows = labelled_rows(question, work)
    if not rows.spines:
        raise TooFewPositives(f"{name}: no label is known at score_at {at}; score later, or bring older teacher data")
    earliest = latest_as_of(min(spine.min_as_of for spine in rows.spines), entity.timezone)
    names = feature_names(spec, work.groups)
    past = find_past(question, names, earliest, work) if spec.advanced.past_campaigns else Past()
    scores = tuple(score.column for score in past.scores)
    groups = groups_for(spec, past.scores, work.groups)
    features = [feature_table(groups.values(), spine, work.warehouse, work.store) for spine in rows.spines]
    recipe = Recipe(
        key=f"{name}/training_set",
        code=code_of("platform_assets.campaigns.training_sets.training_set"),
        config={
            "label": spec.label.model_dump(mode="json"),
            "population": spec.population,
            "score_at": at.isoformat(),
            "features": list(names),
            "drop_ageing": spec.advanced.feature_selection.drop_ageing,
            "folds": spec.advanced.folds,
            "seed": spec.advanced.seed,
        },
        inputs={
            **rows.inputs,
            **past.inputs,
            **{
                f"features/{spec.entity}/{group} {spine.content_id[:12]}": content
                for spine, table in zip(rows.spines, features, strict=True)
                for group, content in table.content_hashes.items()
            },
        },
    )

    def build(folder: Path) -> dict[str, Any]:
        import pyarrow.parquet as pq

        known = [with_past_scores(of_spine.table, past.scores, work.store) for of_spine in features]
        joined = join_features(entity.key, [*names, *scores], rows.read(), known)
        table = _with_folds(joined, entity.key, spec)
        refuse_too_few(name, table["label"].to_pylist())
        result = audit(
            table,
            _rules(entity.key, spec, (*names, *scores), table.num_rows),
            name=f"{name}/training_set",
            personal=(entity.key,),
        )
        result.raise_if_failed()
        inspection = inspect(name, table, entity.key, [*names, *scores], folder)
        ageing = may_be_left_out(spec, names, inspection["ageing"], work.groups)
        choice = choose(question, table, [*names, *scores], ageing)
        left_out = choice.columns if choice and choice.left_out else ()
        pq.write_table(keep(choice, table, folder), folder / FILE, compression="zstd")
        (folder / PAST_FILE).write_text(json.dumps(past.to_json(), indent=1, sort_keys=True))
        return {
            "entity": spec.entity,
            "watermark": watermark_of(spec, work).isoformat(),
            "audit": result.metadata(),
            "score_at": at.isoformat(),
            "set_aside": rows.set_aside,
            "features": [column for column in names if column not in left_out],
            "left_out": list(left_out),
            "ageing_choice": sentence_of(choice),
            "past_scores": list(scores),
            "past_labels": [task.campaign for task in past.tasks],
            **inspection,
            **_summary(table, entity.timezone),
        }

    return work.store.get_or_build(recipe, build)


def refuse_too_few(name: str, labels: list[int]) -> None:
    """Refuse labels that nothing can be learned from.

    Raises:
        TooFewPositives: fewer than 50 of either class.
    """
    positives = sum(labels)
    for word, count in (("positives", positives), ("negatives", len(labels) - positives)):
        if count < FEWEST_POSITIVES:
            raise TooFewPositives(
                f"{name}: {count} {word} among {len(labels)} rows; at least {FEWEST_POSITIVES} are needed. "
                f"Train on more snapshots, widen the horizon or the population, or bring more teacher data"
            )


def _dates(spec: CampaignSpec, work: Workspace, score_at: date | None) -> TrainingDates:
    catalog = work.warehouse.catalog
    entity = catalog.entities[spec.entity]
    lag = catalog.marts[label_mart(spec) or entity.population].arrival_lag
    return training_dates(spec, entity.timezone, watermark_of(spec, work), lag, score_at)


def join_features(key: str, names: Sequence[str], labels: "pa.Table", features: Sequence["pa.Table"]) -> "pa.Table":
    """Labels with their features, sorted by as_of and key: columns (key, as_of, label, *names).

    Raises:
        AssertionError: a labelled row has no features.
    """
    import pyarrow as pa

    together = pa.concat_tables([table.select([key, "as_of", *names]) for table in features])
    schema = pa.schema([together.schema.field(key), together.schema.field("as_of"), pa.field("label", pa.int64())])
    joined = labels.cast(schema).join(together, [key, "as_of"], join_type="inner")
    if joined.num_rows != labels.num_rows:
        raise AssertionError(f"{labels.num_rows - joined.num_rows} labelled rows have no features")
    return joined.sort_by([("as_of", "ascending"), (key, "ascending")]).combine_chunks()


def _with_folds(table: "pa.Table", key: str, spec: CampaignSpec) -> "pa.Table":
    import pyarrow as pa

    from platform_assets.learning.folds import assign_folds

    folds = assign_folds(table[key].to_pylist(), spec.advanced.folds, spec.advanced.seed)
    return table.add_column(3, "fold", pa.array(folds, pa.int64()))


def _rules(key: str, spec: CampaignSpec, columns: Sequence[str], rows: int) -> list[Rule]:
    return [
        Columns((key, "as_of", "label", "fold", *columns), severity="critical"),
        Key((key, "as_of"), severity="critical"),
        RowCount(at_least=2 * FEWEST_POSITIVES, severity="critical"),
        Allowed("label", (0, 1), severity="critical"),
        Allowed("fold", tuple(range(spec.advanced.folds)), severity="critical"),
        ShareBounds("label", 1, minimum=min(1.0, FEW_POSITIVES / max(rows, 1)), rare=UNCERTAIN, severity="warning"),
    ]


def _summary(table: "pa.Table", timezone: str) -> dict[str, Any]:
    """People, positives and base rate per business date; a table of many as-of times counts by month."""
    import pyarrow as pa
    import pyarrow.compute as pc

    times = table["as_of"]
    many = len(pc.unique(times)) > 24
    local = times.cast(pa.timestamp("us", timezone))
    names = pc.strftime(local, format="%Y-%m" if many else "%Y-%m-%d").to_pandas()
    counted = table["label"].to_pandas().groupby(names).agg(rows="size", positives="sum")
    by_time = counted.assign(base_rate=counted["positives"] / counted["rows"]).to_dict("index")
    positives = pc.sum(table["label"]).as_py()
    return {
        "rows": table.num_rows,
        "positives": positives,
        "base_rate": positives / table.num_rows,
        "as_of": sorted(by_time),
        "by_time": by_time,
        "latest_as_of": pc.max(times).as_py().isoformat(),
        "timezone": timezone,
    }
