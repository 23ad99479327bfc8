"""How an `ArtifactRef` travels from one step to the next: small JSON on any fsspec file system.

Bulk never passes through here: a step hands on the name of an artifact, and the next one opens it in the store.
"""

import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import fsspec
from fsspec.implementations.local import LocalFileSystem

from platform_assets.artifacts.recipe import ArtifactRef


class ArtifactRefIOManager(dg.ConfigurableIOManager):
    """Keeps refs below `root`: one file an asset (and partition), one an op output of a run."""

    root: str

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        if not isinstance(obj, ArtifactRef):
            raise dg.DagsterInvariantViolationError(
                f"{context.step_key} returned {type(obj).__name__}; steps hand on an ArtifactRef and keep the rest in the store"
            )
        fs, root = fsspec.core.url_to_fs(self.root)
        target = f"{root}/{self._name(context)}"
        text = json.dumps(obj.to_json())
        if not isinstance(fs, LocalFileSystem):
            fs.pipe_file(target, text.encode())
            return
        os.makedirs(os.path.dirname(target), exist_ok=True)
        aside = Path(f"{target}.{uuid4().hex}.aside")
        aside.write_text(text)
        aside.replace(target)

    def load_input(self, context: dg.InputContext) -> ArtifactRef:
        fs, root = fsspec.core.url_to_fs(self.root)
        source = f"{root}/{self._name(context)}"
        try:
            return ArtifactRef.from_json(json.loads(fs.cat_file(source)))
        except FileNotFoundError:
            what = context.asset_key.to_user_string() if context.has_asset_key else context.name
            partition = f" partition {context.asset_partition_key}" if context.has_asset_partitions else ""
            raise dg.Failure(
                f"{what}{partition} has not been materialised yet; materialise it first", allow_retries=False
            ) from None

    @staticmethod
    def _name(context: dg.OutputContext | dg.InputContext) -> str:
        identifier = context.get_asset_identifier() if context.has_asset_key else context.get_identifier()
        return "/".join(("assets" if context.has_asset_key else "runs", *identifier)) + ".json"
