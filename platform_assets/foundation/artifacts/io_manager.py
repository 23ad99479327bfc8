"""How an `ArtifactRef` travels from one step to the next: small JSON in a folder or bucket.

Bulk never passes through here: a step hands on the name of an artifact, and the next one opens it in the store.
"""

import json
from typing import Any

import dagster as dg

from platform_assets.foundation.artifacts.recipe import ArtifactRef
from platform_assets.foundation.storage import files_at


class ArtifactRefIOManager(dg.ConfigurableIOManager):
    """Keeps refs below `root`, a folder or gs:// URL: one file an asset (and partition), one an op output of a run.

    Every step opens it before its code, and before its log is captured: so it is here that a pod which has only just started
    waits for Google's credentials.

    Attributes:
        credentials_within: how many seconds it waits for them; 0: this process needs none.
    """

    root: str
    credentials_within: float = 0.0

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Raises StorageRefused when there are no credentials by then."""
        if self.credentials_within:
            from platform_assets.foundation.storage.credentials import await_credentials

            await_credentials(context.log.warning if context.log else print, self.credentials_within)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        if not isinstance(obj, ArtifactRef):
            raise dg.DagsterInvariantViolationError(
                f"{context.step_key} returned {type(obj).__name__}; steps hand on an ArtifactRef and keep the rest in the store"
            )
        files_at(self.root).write(self._name(context), json.dumps(obj.to_json()).encode())

    def load_input(self, context: dg.InputContext) -> ArtifactRef:
        stored = files_at(self.root).read(self._name(context))
        what = context.asset_key.to_user_string() if context.has_asset_key else context.name
        partition = f" partition {context.asset_partition_key}" if context.has_asset_partitions else ""
        if stored is None:
            raise dg.Failure(
                f"{what}{partition} has not been materialised yet; materialise it first", allow_retries=False
            )
        try:
            return ArtifactRef.from_json(json.loads(stored.content))
        except (ValueError, KeyError, TypeError) as error:
            where = files_at(self.root).location(self._name(context))
            raise dg.Failure(
                f"{where}, which names the newest {what}{partition}, is damaged; materialise {what}{partition} again",
                allow_retries=False,
            ) from error

    @staticmethod
    def _name(context: dg.OutputContext | dg.InputContext) -> str:
        identifier = context.get_asset_identifier() if context.has_asset_key else context.get_identifier()
        return "/".join(("assets" if context.has_asset_key else "runs", *identifier)) + ".json"
