"""What a result is made from, and the fingerprint of that.

A fingerprint is the sha256 of the canonical JSON of: key, code hashes, configuration, content hashes of the inputs.
Two recipes with one fingerprint make the same bytes, so the second one need not run.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; refuses NaN and anything that JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def sha256_of(value: Any) -> str:
    """The hex sha256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


@dataclass(frozen=True)
class ArtifactRef:
    """Names one artifact: what it is, what it was made from, and what it holds. Small enough to pass between pods."""

    key: str
    fingerprint: str
    content_hash: str

    def to_json(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, str]) -> "ArtifactRef":
        return cls(key=value["key"], fingerprint=value["fingerprint"], content_hash=value["content_hash"])


@dataclass(frozen=True)
class Recipe:
    """Everything a result depends on.

    Attributes:
        key: what is made, `/`-separated, e.g. `features/customer/order_windows`; variants (a date, a fold) go in `config`.
        code: module or distribution name → hash or version (see `code_of`).
        config: settings; anything JSON holds.
        inputs: name → content hash of each input.
    """

    key: str
    code: Mapping[str, str]
    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        return sha256_of(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {"key": self.key, "code": dict(self.code), "config": dict(self.config), "inputs": dict(self.inputs)}

    def difference(self, earlier: Mapping[str, Any]) -> str:
        """In words, what changed since an earlier recipe (its `to_json`) of the same key."""
        now = self.to_json()
        parts = []
        for part, name in (("code", "code"), ("config", "settings"), ("inputs", "inputs")):
            before, after = earlier[part], now[part]
            changed = sorted(k for k in before.keys() | after.keys() if before.get(k) != after.get(k))
            if changed:
                shown = ", ".join(changed[:4]) + (f" and {len(changed) - 4} more" if len(changed) > 4 else "")
                parts.append(f"{name} changed: {shown}")
        return "; ".join(parts)
