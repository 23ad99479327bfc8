"""Which models of every campaign are promoted, from which date on each is good, and which bodies were pre-trained by when.

A promoted model was made from labels known by its scoring date. Scoring as of a date takes the one with the latest scoring
date at or before it, so a replay of the past never uses a later model.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from platform_assets.foundation.artifacts import ArtifactRef
from platform_assets.foundation.storage import files_at

FOLDER, BODIES = "promoted", "bodies"


class RegistryDamaged(ValueError):
    """A file that says which models are promoted, or which bodies are kept, is not readable; nothing was changed."""


class NothingPromoted(LookupError):
    """A campaign is to be scored as of a date for which no model is promoted."""


@dataclass(frozen=True)
class Promotion:
    """One promoted model.

    Attributes:
        entity: whom it is about.
        score_at: ISO date it is good from.
        ensemble, training_set: what it is and what it was fitted on.
        decision: the gate's decision that let it through.
    """

    entity: str
    score_at: str
    ensemble: ArtifactRef
    training_set: ArtifactRef
    decision: ArtifactRef


@dataclass(frozen=True)
class KeptBody:
    """A body pre-trained on the labels of promoted models: the ISO date by which all of them were known, and the artifact."""

    known_by: str
    body: ArtifactRef


_Record = TypeVar("_Record", bound=Promotion | KeptBody)


class PromotedModels:
    """The promoted models of every campaign and the bodies of every entity, below a folder or gs:// URL.

    One file a campaign or entity, replaced whole.
    """

    def __init__(self, root: str | Path) -> None:
        self._files = files_at(root)

    def campaigns(self) -> list[str]:
        """Every campaign that has had a promoted model, by name; its file may be gone by now."""
        return [name.removeprefix(f"{FOLDER}/").removesuffix(".json") for name in self._files.names(f"{FOLDER}/")]

    def all(self, campaign: str) -> list[Promotion]:
        """Every promotion, oldest scoring date first."""
        return self._records(Promotion, f"{FOLDER}/{campaign}.json")

    def champion(self, campaign: str, as_of: date) -> Promotion | None:
        """The promoted model that is good as of a date."""
        good = [promotion for promotion in self.all(campaign) if promotion.score_at <= as_of.isoformat()]
        return good[-1] if good else None

    def require(self, campaign: str, as_of: date) -> Promotion:
        """The same.

        Raises:
            NothingPromoted: there is none.
        """
        champion = self.champion(campaign, as_of)
        if champion is None:
            earliest = next((promotion.score_at for promotion in self.all(campaign)), None)
            known = f"its first promoted model is good from {earliest} on" if earliest else "it has no promoted model"
            raise NothingPromoted(
                f"{campaign} cannot be scored as of {as_of}: {known}; materialise {campaign}/promoted_model with score_at {as_of}"
            )
        return champion

    def promote(self, campaign: str, promotion: Promotion) -> None:
        """Make `promotion` the champion from its scoring date on; another one of that date gives way."""
        self._add(f"{FOLDER}/{campaign}.json", promotion, attrgetter("score_at"))

    def body(self, entity: str, day: date) -> ArtifactRef | None:
        """The body of an entity with the latest date at or before `day`, or None."""
        known = [
            kept for kept in self._records(KeptBody, f"{BODIES}/{entity}.json") if kept.known_by <= day.isoformat()
        ]
        return known[-1].body if known else None

    def keep_body(self, entity: str, kept: KeptBody) -> None:
        """Keep a body for campaigns to start from; another one of its date gives way."""
        self._add(f"{BODIES}/{entity}.json", kept, attrgetter("known_by"))

    def _records(self, kind: type[_Record], name: str) -> list[_Record]:
        stored = self._files.read(name)
        return self._read(kind, name, stored.content if stored else None)

    def _add(self, name: str, record: Promotion | KeptBody, date_of: Callable[[Any], str]) -> None:
        """`record` among those of a file, the oldest first; another one of its date gives way."""

        def add(stored: bytes | None) -> bytes:
            others = [other for other in self._read(type(record), name, stored) if date_of(other) != date_of(record)]
            records = [asdict(one) for one in sorted([*others, record], key=date_of)]
            return json.dumps(records, indent=1, sort_keys=True).encode()

        self._files.update(name, add)

    def _read(self, kind: type[_Record], name: str, content: bytes | None) -> list[_Record]:
        """The records of a file, none when there is no file: an empty one is damaged."""
        try:
            return [] if content is None else TypeAdapter(list[kind]).validate_json(content)  # type: ignore[valid-type]
        except ValidationError as error:
            raise RegistryDamaged(
                f"{self._files.location(name)}, which says what is promoted or kept there, is damaged. "
                f"Put back a copy of it; or remove it and train for its dates again, which finds what was made and promotes it"
            ) from error
