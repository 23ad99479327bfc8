"""The state of an unfinished fit as bytes: arrays and a few plain values, checked when they come back.

Belongs here: the format. Does not belong here: what a training keeps in it, where it is kept. The bytes are a SHA-256 of the
rest, then safetensors in which one array holds JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = dict[str, npt.NDArray[Any]]
_VALUES = "values.json"
_DIGEST_BYTES = 32


class DamagedState(ValueError):
    """The bytes are not what `pack` returned."""


def pack(arrays: Mapping[str, npt.NDArray[Any]], values: Mapping[str, Any]) -> bytes:
    """`arrays` and JSON `values` as bytes."""
    from safetensors.numpy import save

    text = json.dumps(values, sort_keys=True, allow_nan=False).encode()
    named = {name: np.ascontiguousarray(part) for name, part in arrays.items()}
    packed = save(named | {_VALUES: np.frombuffer(text, dtype=np.uint8)})
    return hashlib.sha256(packed).digest() + packed


def unpack(state: bytes) -> tuple[Arrays, dict[str, Any]]:
    """The arrays and values that `pack` was given. Raises DamagedState when a byte is missing or another."""
    from safetensors.numpy import load

    digest, packed = state[:_DIGEST_BYTES], state[_DIGEST_BYTES:]
    if hashlib.sha256(packed).digest() != digest:
        raise DamagedState("its checksum does not match its content")
    arrays = load(packed)
    return arrays, json.loads(arrays.pop(_VALUES).tobytes())
