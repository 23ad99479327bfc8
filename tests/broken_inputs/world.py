"""A platform on which everything was made once, and what a person is told when something in it is broken.

Belongs here: the copy that a row breaks, the ways in which people meet what is broken, and what has to stay as it was. Does
not belong here: what is broken, and what has to be said.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from platform_assets.campaigns.declaration.parsing import DeclarationError
from platform_assets.cli import main
from platform_assets.data.catalog.declaration import CatalogError
from platform_assets.data.catalog.pointer import MartDamaged, MartMissing, MartRefused
from platform_assets.definitions import build_definitions
from platform_assets.environment import Environment
from platform_assets.readers.moment import Marts, open_marts
from platform_assets.readers.refusal import ReadRefused
from tests.support.answered import Answered
from tests.support.running import Platform, variables_of

# Stands in the data of many rows, where a person's address would, and may stand nowhere else.
MARK = "bob.marked@example.com"
# What nobody reads again: left out of the copy, because a copy is made for every row.
UNREAD = shutil.ignore_patterns("tensorboard", "warehouse", "runs")
CUSTOMERS_AT, TRAINING = "1998-04-01", "repeat_buyers/training_set"
# What the platform publishes, below its data folder.
PUBLISHED = ("marts/current.json", "artifacts/promoted/*.json", "audiences/**/*")


@dataclass(frozen=True)
class World:
    """A copy of the platform, with folders of its own for everything that a row breaks."""

    answered: Answered

    @classmethod
    def copied(cls, answered: Answered, folder: Path) -> "World":
        shutil.copytree(answered.folder / "data", folder / "data", ignore=UNREAD)
        shutil.copytree(answered.folder / "campaigns", folder / "campaigns")
        shutil.copytree(answered.environment.sources, folder / "sources")
        return cls(replace(answered, folder=folder))

    @property
    def environment(self) -> Environment:
        return replace(self.answered.environment, sources=self.answered.folder / "sources")

    @property
    def data(self) -> Path:
        return self.environment.data

    def only(self, pattern: str) -> Path:
        """The first file below the data folder that has this form."""
        return min(path for path in self.data.glob(pattern) if path.is_file())

    def record_of(self, key: str) -> Path:
        """The record of an asset's newest artifact, or of that of its date."""
        references = self.data / "refs" / "assets"
        dated = references / key / f"{CUSTOMERS_AT}.json"
        reference = json.loads((dated if dated.is_file() else references / f"{key}.json").read_text(encoding="utf-8"))
        return self.data / "artifacts" / "recipes" / f"{reference['fingerprint']}.json"

    def file_of(self, key: str, name: str) -> Path:
        """A file of an asset's artifact."""
        record = json.loads(self.record_of(key).read_text(encoding="utf-8"))
        return self.data / "artifacts" / "content" / record["content_hash"] / name

    def said_by_run(self, *keys: str, partition: str | None = None) -> str:
        """Everything that failed says when these assets are materialised: steps, and checks of assets.

        All that the run wrote into the event log, metadata and chained errors included, is searched for `MARK`.
        """
        dates = {f"{key.replace('/', '__')}": {"config": {"score_at": CUSTOMERS_AT}} for key in keys if key == TRAINING}
        with dg.DagsterInstance.ephemeral() as instance:
            platform = Platform.of(self.environment, instance)
            result = platform.materialize(*keys, partition_key=partition, run_config={"ops": dates} if dates else None)
            events = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
        assert MARK not in events, "a value of the data stands in the event log"
        words = []
        for event in result.get_step_failure_events():
            failure = event.step_failure_data.user_failure_data
            assert failure is not None, f"{event.step_key} raised {event.step_failure_data.error}"
            words.append(str(failure.description))
        for evaluation in result.get_asset_check_evaluations():
            if not evaluation.passed:
                words += [
                    evaluation.check_name,
                    str(evaluation.description),
                    *(f"{name} {one.value}" for name, one in evaluation.metadata.items()),
                ]
        return "\n".join(words)

    def said_by_load(self, **changes: Any) -> str:
        """What the definitions say when they cannot be loaded in an environment with these fields."""
        with pytest.raises(DeclarationError) as refused:
            build_definitions(replace(self.environment, **changes))
        return str(refused.value)

    def said_by_command(self, *words: str, variables: Mapping[str, str] | None = None) -> str:
        """What `platform-assets …` prints when it fails."""
        told = CliRunner().invoke(main, words, env={**variables_of(self.environment), **(variables or {})})
        assert told.exit_code != 0, f"it said that all is well: {told.output}"
        assert told.exception is None or isinstance(told.exception, SystemExit), f"a traceback: {told.exception!r}"
        return told.output

    def said_by_reader(self, read: Callable[[Marts], object]) -> str:
        """What a notebook that reads marts is told."""
        try:
            read(open_marts(self.environment))
        except (ReadRefused, MartDamaged, MartMissing, MartRefused, CatalogError) as refused:
            return str(refused)
        return ""

    def published(self) -> dict[str, str]:
        """Every published file and the hash of its content."""
        return self._hashes(*PUBLISHED)

    def kept(self) -> dict[str, str]:
        """Every file that the platform made, and the hash of its content."""
        return self._hashes("raw/**/*", "marts/**/*", "artifacts/**/*", "audiences/**/*")

    def _hashes(self, *patterns: str) -> dict[str, str]:
        paths = {path for pattern in patterns for path in self.data.glob(pattern) if path.is_file()}
        return {
            path.relative_to(self.data).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(paths)
        }


@dataclass(frozen=True)
class Broken:
    """One broken input.

    Attributes:
        what: what is broken, as the documentation lists it.
        break_it: breaks it in a world; returns the file that is broken, or None where nothing is a file.
        meet: what a person does next; returns what they are told. "" when nothing is refused.
        names: what the sentence has to name besides: keys, columns, tables, other files.
        healed: it is made again to the same bytes, and nothing is refused.
    """

    what: str
    break_it: Callable[[World], Path | None]
    meet: Callable[[World], str]
    names: tuple[str, ...]
    healed: bool = False


def flip(path: Path) -> Path:
    """Turn over a byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return path


def cut(path: Path) -> Path:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def emptied(path: Path) -> Path:
    """Leave nothing of a file's content."""
    path.write_bytes(b"")
    return path


def removed(path: Path) -> Path:
    """Remove a file."""
    path.unlink()
    return path
