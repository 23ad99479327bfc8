"""TensorBoard event files of fits, kept whole so that TensorBoard can read them while training goes on.

Belongs here: turning progress into a file's bytes. Does not belong here: where the bytes are kept, measuring progress.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from platform_assets.learning.families.fitting import Progress

FLUSH_SECONDS = 5.0
# The version from which readers drop the rounds that a restart repeats.
FILE_VERSION = "brain.Event:2"
PARAMETERS_TAG = "parameters"


class EventFile:
    """One fit's event file: what a round told as scalars, family and parameters as a text.

    `report` is for `Fitting.report`. The file only ever grows, because readers keep their place in it: `save` puts
    the new bytes where the old were, under the same name, and a fit taken up again appends to what an earlier attempt
    left (`earlier`) and marks where it restarts. TensorBoard then shows the rounds before that point once, and in
    place of those from it on the ones told again. Its fast loader keeps a local file open and never sees one that
    took its name: where `save` replaces a file, run TensorBoard with `--load_fast=false`.

    Parameters:
        save: keeps the whole file; called at most every `flush_seconds` of wall time, and by `close`.
        family, parameters: what is fitted.
        earlier: the bytes an earlier attempt at the same fit left, or None.

    Scalars: `loss/train`, `loss/validation` (where there is one), `learning_rate`, `rows_per_second`; steps are rounds.
    """

    def __init__(
        self,
        save: Callable[[bytes], None],
        family: str,
        parameters: Mapping[str, Any],
        earlier: bytes | None = None,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._save = save
        self._flush_seconds = flush_seconds
        self._saved_at = -math.inf
        self._content = BytesIO()
        self._restarting = earlier is not None
        if earlier is None:
            from tensorboard.plugins.text.summary_v2 import text_pb

            self._write(file_version=FILE_VERSION)
            # TensorBoard takes the first start it sees for no restart.
            self._start(0)
            self._write(step=0, summary=text_pb(PARAMETERS_TAG, _described(family, parameters)))
        else:
            self._content.write(earlier)

    def report(self, progress: Progress) -> None:
        """Add what a round told, and save the file unless that was done a moment ago."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        if self._restarting:
            self._start(progress.round)
            self._restarting = False
        record = {
            "loss/train": progress.train_loss,
            "loss/validation": progress.validation_loss,
            "learning_rate": progress.learning_rate,
            "rows_per_second": progress.rows_per_second,
        }
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in record.items() if value is not None]
        self._write(step=progress.round, summary=Summary(value=values))
        if time.monotonic() - self._saved_at >= self._flush_seconds:
            self._flush()

    def close(self) -> None:
        """Save what was told since the file was saved last."""
        self._flush()

    def _start(self, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self._write(step=step, session_log=SessionLog(status=SessionLog.START))

    def _flush(self) -> None:
        self._save(self._content.getvalue())
        self._saved_at = time.monotonic()

    def _write(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        RecordWriter(self._content).write(Event(wall_time=time.time(), **fields).SerializeToString())


def _described(family: str, parameters: Mapping[str, Any]) -> str:
    """Family and parameters as a table, in the Markdown that the text page shows."""
    rows = {"family": family, **parameters}
    cells = {name: json.dumps(value, sort_keys=True).replace("|", "\\|") for name, value in rows.items()}
    lines = [f"| {name} | `{cell}` |" for name, cell in cells.items()]
    return "\n".join(["| | |", "|-|-|", *lines])
