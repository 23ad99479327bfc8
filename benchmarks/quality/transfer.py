"""A new campaign with 200 positives where five others on the same kind of people ran before: does their knowledge help?

Belongs here: the six targets, who is whom in a draw, the past campaigns' models, and the cells. Does not belong here: the
learning.

The people are the KDD census' adults with an occupation; six things about them are asked, and every column that states one of
them, or asks for it, is taken out of the features. A draw deals the people anew into four groups without overlap: 20,000 on
whom each past campaign's model was fitted, 6,000 whose answers to the past campaigns' questions are known besides (the
related tasks), 5,000 who are asked about, and of the rest as many, at random, as it takes to know 200 positives of the new
target. `permuted` past campaigns had their labels in random order, for models and tasks alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.quality import contenders
from benchmarks.quality.cells import Cell, Rows
from benchmarks.quality.contenders import Answer, Question
from benchmarks.quality.datasets import census_people
from benchmarks.quality.tables import Coding
from platform_assets.learning.families.registry import make_estimator

PREFIX = "transfer_"
TARGETS = ("income", "dividends", "capital", "degree", "self_employed", "part_year")
POSITIVES = 200
MODEL_PEOPLE, TASK_PEOPLE, ASKED_PEOPLE = 20_000, 6_000, 5_000
CPU_SECONDS = 30
LIGHTGBM = "lightgbm_5_folds"
ALONE, PAST, PERMUTED = (f"ours_{what}_{CPU_SECONDS}" for what in ("alone", "past", "permuted"))
AUTOGLUON = f"autogluon_alone_{CPU_SECONDS}"
CONTENDERS = (LIGHTGBM, PAST, PERMUTED, ALONE, AUTOGLUON)
# What states a target, or was asked because of it, beside the survey's weight.
LEFT_OUT = (
    "income dividends capital_gains capital_losses education class_of_worker own_business weeks_worked full_or_part_time "
    "instance_weight"
)
DEGREES = (
    "Bachelors degree(BA AB BS)",
    "Masters degree(MA MS MEng MEd MSW MBA)",
    "Doctorate degree(PhD EdD)",
    "Prof school degree (MD DDS DVM LLB JD)",
)


@dataclass(frozen=True)
class People:
    """Adults with an occupation: features with categories as words, their float form, and 0/1 labels by target."""

    raw: pd.DataFrame
    floats: pd.DataFrame
    labels: dict[str, npt.NDArray[np.int8]]


@lru_cache(maxsize=1)
def people() -> People:
    """The people of the experiment, in the data's order."""
    everyone = census_people()
    working = ~everyone["major_occupation"].isin(["Not in universe", "Armed Forces"])
    adults = everyone[(everyone["age"] >= 18) & working].reset_index(drop=True)
    labels = {
        "income": adults["income"].eq("50000+."),
        "dividends": adults["dividends"].gt(0),
        "capital": adults["capital_gains"].gt(0) | adults["capital_losses"].gt(0),
        "degree": adults["education"].isin(DEGREES),
        "self_employed": adults["class_of_worker"].str.startswith("Self-employed"),
        "part_year": adults["weeks_worked"].lt(52),
    }
    raw = adults.drop(columns=LEFT_OUT.split())
    raw = raw.astype({name: "object" if raw[name].dtype == object else "float64" for name in raw})
    return People(
        raw, Coding.of(raw).floats(raw), {name: label.to_numpy().astype(np.int8) for name, label in labels.items()}
    )


@dataclass(frozen=True)
class Deal:
    """Positions in `people()` of a draw's four groups; `known` are those whose answer to the new target is known."""

    models: Rows
    tasks: Rows
    asked: Rows
    known: Rows


def deal(target: str, draw: int) -> Deal:
    """Who is whom in `draw`: the first three groups are the same for all targets."""
    order = np.random.default_rng(draw).permutation(len(people().raw))
    ends = np.cumsum([MODEL_PEOPLE, TASK_PEOPLE, ASKED_PEOPLE])
    models, tasks, asked, rest = np.split(order, ends)
    enough = int(np.flatnonzero(np.cumsum(people().labels[target][rest]) == POSITIVES)[0])
    return Deal(models, tasks, np.sort(asked), rest[: enough + 1])


def cells(draws: Sequence[int], who: Sequence[str] = CONTENDERS) -> Iterator[Cell]:
    """Draw by draw, contender by contender, all six targets."""
    for draw in draws:
        for contender in who:
            for target in TARGETS:
                yield _cell(target, draw, contender)


def _cell(target: str, draw: int, contender: str) -> Cell:
    def run() -> tuple[Rows, Answer]:
        dealt = deal(target, draw)
        return dealt.asked, _answer(target, draw, contender, dealt)

    return Cell(f"{PREFIX}{target}", draw, {_predicted(contender): contender}, run)


def _predicted(contender: str) -> str:
    return "lightgbm" if contender == LIGHTGBM else contender.split("_")[0]


def _answer(target: str, draw: int, contender: str, dealt: Deal) -> Answer:
    everyone = people()
    columns = everyone.raw if contender == AUTOGLUON else everyone.floats
    alone = Question(
        X=columns.iloc[dealt.known].reset_index(drop=True),
        y=everyone.labels[target][dealt.known],
        groups=dealt.known,
        X_test=columns.iloc[dealt.asked].reset_index(drop=True),
    )
    if contender == AUTOGLUON:
        return contenders.autogluon(alone, CPU_SECONDS, refit=False)
    if contender == LIGHTGBM:
        return contenders.lightgbm_five_folds(alone)
    if contender == ALONE:
        return contenders.ours(alone, CPU_SECONDS, draw, refit=True)
    return contenders.ours(_with_past(target, draw, contender == PERMUTED, dealt), CPU_SECONDS, draw, refit=True)


def _with_past(target: str, draw: int, permuted: bool, dealt: Deal) -> Question:
    """The question with the other five campaigns' scores as columns and their known answers as related tasks."""
    floats, others = people().floats, [name for name in TARGETS if name != target]
    scores = _past_scores(draw, permuted)[[f"past_{name}" for name in others]]

    def rows(positions: Rows) -> pd.DataFrame:
        return pd.concat([floats.iloc[positions], scores.iloc[positions]], axis=1).reset_index(drop=True)

    X = rows(dealt.tasks)
    tasks = {name: (X, _past_labels(name, draw, permuted)[dealt.tasks], dealt.tasks) for name in others}
    return Question(
        X=rows(dealt.known),
        y=people().labels[target][dealt.known],
        groups=dealt.known,
        X_test=rows(dealt.asked),
        tasks=tasks,
        past_scores=tuple(scores.columns),
    )


def _past_labels(target: str, draw: int, permuted: bool) -> npt.NDArray[np.int8]:
    labels = people().labels[target]
    return np.random.default_rng(draw).permutation(labels) if permuted else labels


@lru_cache(maxsize=1)
def _past_scores(draw: int, permuted: bool) -> pd.DataFrame:
    """Everyone's score by each target's past campaign, a column `past_<target>` each; used only for who it did not fit."""
    fitted_on, floats = deal(TARGETS[0], draw).models, people().floats
    scores = {}
    for target in TARGETS:
        model = make_estimator("lightgbm", seed=draw)
        model.fit(floats.iloc[fitted_on], _past_labels(target, draw, permuted)[fitted_on], fitted_on)
        scores[f"past_{target}"] = model.predict_proba(floats)[:, 1]
    return pd.DataFrame(scores)
