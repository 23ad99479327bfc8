"""What a training set is looked over for before anything learns from it: columns that know the answer, columns that tell the date.

Belongs here: turning what `learning` finds into a refusal, warnings and a record. Does not belong here: the rules.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platform_assets.foundation.artifacts import Artifact

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_assets.learning.data_checks.ageing import Ageing
    from platform_assets.learning.data_checks.leaks import Finding

INSPECTION_FILE = "inspection.json"


class LeakFound(ValueError):
    """A column holds the answer, or whom a row is about; the message names each and says what to do."""


def inspect(name: str, table: "pa.Table", key: str, columns: list[str], folder: Path) -> dict[str, Any]:
    """Look a training set over, write what was found into `folder`, and return what people should see of it.

    Args:
        table: columns (entity key, as_of, label, …); `columns` are those that models see.

    Raises:
        LeakFound: a finding refuses.
    """
    from platform_assets.learning.data_checks.ageing import ageing_columns
    from platform_assets.learning.data_checks.leaks import find_leaks, require_entities_apart

    frame = table.to_pandas()
    require_entities_apart(frame[key], frame["fold"])
    leaks = find_leaks(frame[columns], frame["label"], frame[key], columns, key)
    refused = [finding.sentence for finding in leaks if finding.severity == "refuse"]
    if refused:
        raise LeakFound(f"{name}: {' '.join(refused)}")
    ageing = ageing_columns(frame[columns], frame["as_of"], frame[key], columns)
    results = {"leaks": [asdict(finding) for finding in leaks], "ageing": [_plain(asdict(one)) for one in ageing]}
    (folder / INSPECTION_FILE).write_text(json.dumps(results, indent=1, allow_nan=False))
    return {
        "warnings": [finding.sentence for finding in leaks],
        "ageing": [one.column for one in ageing if one.ageing],
    }


def inspected(training: Artifact) -> "tuple[tuple[Finding, ...], tuple[Ageing, ...]]":
    """What was found in a training set: leaks that were only warned of, and how every column moves with the date."""
    from platform_assets.learning.data_checks.ageing import Ageing
    from platform_assets.learning.data_checks.leaks import Finding

    results = json.loads(Path(training.path(INSPECTION_FILE)).read_text())
    ageing: list[dict[str, Any]] = [
        {name: float("nan") if value is None else value for name, value in one.items()} for one in results["ageing"]
    ]
    return tuple(Finding(**one) for one in results["leaks"]), tuple(Ageing(**one) for one in ageing)


def _plain(figures: dict[str, Any]) -> dict[str, Any]:
    """JSON has no word for NaN."""
    return {name: None if value != value else value for name, value in figures.items()}
