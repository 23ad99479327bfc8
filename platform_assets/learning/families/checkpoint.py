"""The state of an unfinished fit as bytes: arrays and a few plain values, checked when they come back.

Belongs here: the format, and whether a state is this fit's. Does not belong here: what a fit keeps in it, where it is kept.
The bytes are a SHA-256 of the rest, then safetensors in which one array holds JSON.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from platform_assets.learning.families.fitting import Checkpoints

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


def fingerprint(settings: str, *arrays: npt.NDArray[Any]) -> str:
    """What tells one fit from another: its settings in words, and every array it learns from."""
    digest = hashlib.sha256(settings.encode())
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def take_up(checkpoints: Checkpoints | None, own: str) -> tuple[Arrays, dict[str, Any]] | None:
    """The arrays and values of an earlier attempt at the fit whose fingerprint is `own`, None where there is no such state.

    `pack` was given the fingerprint among the values. Warns when the state is damaged.
    """
    state = None if checkpoints is None else checkpoints.load()
    if state is None:
        return None
    try:
        arrays, values = unpack(state)
    except DamagedState as damage:
        warnings.warn(
            f"The checkpoint of this fit is damaged ({damage}): it is left alone and the fit starts anew.", stacklevel=2
        )
        return None
    return (arrays, values) if values.pop("fingerprint") == own else None
