"""A look at a source: what lies there by one listing, and what the manifests of its exports say.

Belongs here: the layouts by their names, which exports are opened, and what a sensor compares. Does not belong here: how a layout
is read (`exports`), how an export is known again (`known`), and what follows from what there is (`discover`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from platform_assets.data.exports import aurora, dynamodb
from platform_assets.data.exports.export import Export, ExportError, ExportInProgress, sha256
from platform_assets.data.exports.lake import Lake
from platform_assets.data.exports.listed import ListedLake
from platform_assets.data.exports.spec import ExportSourceSpec
from platform_assets.data.raw.known import KnownExports
from platform_assets.data.transfer import bringing


@dataclass(frozen=True)
class _Layout:
    """How exports lie.

    Attributes:
        home: the folder with a folder an export.
        deep: whether an export is known by all files in its folder, or by those directly in it: the manifests.
    """

    export_ids: Callable[[Lake, ExportSourceSpec], list[str]]
    read: Callable[[Lake, ExportSourceSpec, str, str], Export]
    tables_of: Callable[[Lake, ExportSourceSpec, str], frozenset[str]]
    home: Callable[[ExportSourceSpec], str]
    deep: bool


_LAYOUTS = {
    "aurora_snapshot": _Layout(
        aurora.export_ids, aurora.read_aurora_export, aurora.tables_of, lambda spec: spec.path, deep=True
    ),
    "dynamodb": _Layout(
        dynamodb.export_ids,
        dynamodb.read_dynamodb_export,
        dynamodb.tables_of,
        lambda spec: f"{spec.path}/{dynamodb.HOME}",
        deep=False,
    ),
}


@dataclass(frozen=True)
class Look:
    """What a look at a source saw.

    Attributes:
        key: changes when an export is finished, changes, or turns out unusable; an export in progress does not count: its
            progress starts nothing.
        listing: stands for all that was listed: while it is the same, so is the key. None where that is not sure.
    """

    key: str
    listing: str | None = None


@dataclass(frozen=True)
class Seen:
    """An export that was begun: read, or why there is nothing to be read yet or ever.

    Attributes:
        stays: whether it is that as long as the files of its folder are what they are.
    """

    export_id: str
    outcome: Export | ExportInProgress | ExportError
    stays: bool


def look(
    spec: ExportSourceSpec,
    source: str,
    exports_root: str | Path,
    known: KnownExports | None = None,
    before: Look | None = None,
) -> Look:
    """What a sensor compares. An unusable export does not raise here.

    Args:
        before: what an earlier look saw: where the listing is the same, nothing is read.

    Raises:
        StorageRefused: what is there is not known.
    """
    if spec.origin is not None:
        return Look(bringing.look(spec, exports_root))
    lake = listed(spec, exports_root)
    listing = _listing_of(lake, spec)
    if before is not None and before.listing is not None and before.listing == listing:
        return before
    parts, stay = [], True
    for seen in exports_of(lake, spec, source, known):
        stay = stay and seen.stays
        if isinstance(seen.outcome, ExportError):
            parts.append(f"{seen.export_id}!{seen.outcome}")
        elif isinstance(seen.outcome, Export):
            parts.append(f"{seen.export_id}={seen.outcome.content_hash}")
    return Look(sha256(*parts), listing if stay else None)


def listed(spec: ExportSourceSpec, exports_root: str | Path) -> ListedLake:
    """The lake, in which the exports of a source were listed.

    Raises:
        StorageRefused: what is there is not known.
    """
    return ListedLake(exports_root, _LAYOUTS[spec.format].home(spec))


def exports_of(lake: ListedLake, spec: ExportSourceSpec, source: str, known: KnownExports | None) -> Iterator[Seen]:
    """Every export that was begun. Those that are known are not opened."""
    layout = _LAYOUTS[spec.format]
    for export_id in layout.export_ids(lake, spec):
        folder = f"{layout.home(spec)}/{export_id}"
        state = lake.state(folder, layout.deep)
        if known and (export := known.recall(export_id, state, _reading(lake.root, spec, source, export_id))):
            yield Seen(export_id, export, stays=True)
            continue
        outcome: Export | ExportInProgress | ExportError
        with lake.asked() as keys:
            try:
                outcome = layout.read(lake, spec, source, export_id)
            except (ExportInProgress, ExportError) as why:
                outcome = why
        # A manifest that lies elsewhere changes without the folder, and what is refused may be read by other code.
        stays = all(key.startswith(f"{folder}/") for key in keys) and not isinstance(outcome, ExportError)
        if known and stays and isinstance(outcome, Export):
            known.learn(outcome, state)
        yield Seen(export_id, outcome, stays)


def tables_of(lake: Lake, spec: ExportSourceSpec, export_id: str) -> frozenset[str]:
    """The declared tables that an unusable export may be of."""
    return _LAYOUTS[spec.format].tables_of(lake, spec, export_id)


def _listing_of(lake: ListedLake, spec: ExportSourceSpec) -> str | None:
    """Stands for the state of all exports; None where that of one cannot be told."""
    layout, parts = _LAYOUTS[spec.format], [spec.format, spec.model_dump_json(include={"database", "tables"})]
    for export_id in layout.export_ids(lake, spec):
        state = lake.state(f"{layout.home(spec)}/{export_id}", layout.deep)
        if state is None:
            return None
        parts += [export_id, state]
    return sha256(*parts)


def _reading(root: str, spec: ExportSourceSpec, source: str, export_id: str) -> Callable[[], Export]:
    return lambda: _LAYOUTS[spec.format].read(Lake(root), spec, source, export_id)
