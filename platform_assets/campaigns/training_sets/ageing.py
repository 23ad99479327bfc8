"""Whether a training set's models look at the features that grow with the calendar, where its campaign leaves that to past dates.

Belongs here: asking `learning`, keeping the choice with the training set, and reading it. Does not belong here: how it is made.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from platform_assets.campaigns.declaration.question import Question
from platform_assets.foundation.artifacts import Artifact

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_assets.learning.data_checks.ageing_replay import AgeingChoice

CHOICE_FILE = "ageing_choice.json"
LEFT_OUT = b"left_out"
REMEDY = "Train on more dates, or state `advanced.feature_selection.drop_ageing`."


def choose(question: Question, table: "pa.Table", columns: list[str], ageing: tuple[str, ...]) -> "AgeingChoice | None":
    """Whether the `ageing` ones of the `columns` that models could see are left out; None where there are none."""
    from platform_assets.learning.cross_fitting import FoldedTable
    from platform_assets.learning.data_checks.ageing_replay import choose_ageing

    if not ageing:
        return None
    frame = table.to_pandas()
    rows = FoldedTable(
        frame[columns], frame["label"].to_numpy(), frame[question.entity.key].to_numpy(), frame["fold"].to_numpy()
    )
    times = frame["as_of"].dt.tz_convert(question.entity.timezone)
    spec = question.spec
    return choose_ageing(rows, times, spec.horizon, ageing, spec.advanced.seed)


def sentence_of(choice: "AgeingChoice | None") -> str:
    """A choice in words for whoever reads of the campaign; empty where there was none to make."""
    return "" if choice is None else f"{choice.sentence} {REMEDY}" if choice.untried else choice.sentence


def keep(choice: "AgeingChoice | None", table: "pa.Table", folder: Path) -> "pa.Table":
    """Write a choice beside the rows of a training set, and return these marked with the columns that models do not see.

    The mark is in the rows' own file: models depend on its checksum alone.
    """
    if choice is None:
        return table
    (folder / CHOICE_FILE).write_text(json.dumps(asdict(choice), indent=1, allow_nan=False))
    if not choice.left_out:
        return table
    return table.replace_schema_metadata(
        {**(table.schema.metadata or {}), LEFT_OUT: json.dumps(choice.columns).encode()}
    )


def left_out_of(schema: "pa.Schema") -> frozenset[str]:
    """The columns of a training set's file that its models do not see."""
    return frozenset(json.loads((schema.metadata or {}).get(LEFT_OUT, b"[]")))


def choice_of(training: Artifact) -> "AgeingChoice | None":
    """The choice that is kept with a training set."""
    from platform_assets.learning.data_checks.ageing_replay import AgeingChoice

    if CHOICE_FILE not in training.files:
        return None
    return TypeAdapter(AgeingChoice).validate_json(Path(training.path(CHOICE_FILE)).read_bytes())
