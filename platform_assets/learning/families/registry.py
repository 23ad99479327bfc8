"""The estimator families by name, each imported when first asked for.

Belongs here: names, default parameters, and refusing names that do not exist. Does not belong here: any
family's work. Adding a family is a file with a `TableClassifier`, one in `parameters/` and a line in `FAMILIES`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from platform_assets.learning.families.estimator import TableClassifier

PARAMETERS = "platform_assets.learning.families.parameters"
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "lightgbm": "platform_assets.learning.families.gbdt:LightGBMClassifier",
        "network": "platform_assets.learning.families.networks.network:NetworkClassifier",
        "multitask": "platform_assets.learning.families.networks.multitask:MultitaskClassifier",
        "transfer": "platform_assets.learning.families.networks.transfer:TransferClassifier",
        "logistic": "platform_assets.learning.families.logistic:LogisticClassifier",
    }
)
# Families that compute on a GPU when there is one.
ON_GPU = frozenset({"network", "multitask", "transfer"})
# What a family is of no use without: labels of related tasks, or a pre-trained body.
NEEDS: Mapping[str, Literal["tasks", "body"]] = MappingProxyType({"multitask": "tasks", "transfer": "body"})
SEED_PARAMETER = "random_state"


# A whole number is a number, so `learning_rate: 1` may be written.
_KINDS: Mapping[type, Any] = {bool: bool, int: int, float: (int, float), str: str}


class UnknownFamily(ValueError):
    """No family has that name; the message lists those that exist."""


class UnknownParameter(ValueError):
    """The family has no parameter of that name; the message gives the nearest right one."""


class WrongParameter(ValueError):
    """A parameter's value is of another kind than its default; the message shows the default."""


def family_module(family: str) -> str:
    """The module that holds `family`. Raises UnknownFamily."""
    if family not in FAMILIES:
        raise UnknownFamily(
            f'There is no model family "{family}"{_nearest(family, FAMILIES)}. Families: {", ".join(FAMILIES)}.'
        )
    return FAMILIES[family].split(":")[0]


def family_class(family: str) -> type[TableClassifier]:
    """The class of `family`. Raises UnknownFamily."""
    module = importlib.import_module(family_module(family))
    return getattr(module, FAMILIES[family].split(":")[1])


def default_parameters(family: str) -> dict[str, Any]:
    """Every parameter that may be set for `family`, with its default; the seed is not one of them.

    Naming a parameter imports none of the family's libraries.
    """
    family_module(family)
    parameters = importlib.import_module(f"{PARAMETERS}.{family}").Parameters
    return {field.name: field.default for field in fields(parameters) if field.name != SEED_PARAMETER}


def check_parameters(family: str, params: Mapping[str, Any]) -> None:
    """Raise UnknownFamily, UnknownParameter or WrongParameter unless `params` can be given to `family`."""
    known = default_parameters(family)
    for name, value in params.items():
        if name == SEED_PARAMETER:
            raise UnknownParameter(f'"{SEED_PARAMETER}" is not set among the parameters of "{family}": pass the seed.')
        if name not in known:
            raise UnknownParameter(
                f'The model family "{family}" has no parameter "{name}"{_nearest(name, known)}. '
                f"Parameters: {', '.join(known)}."
            )
        wanted = _KINDS[type(known[name])]
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise WrongParameter(f'"{name}" of "{family}" is {value!r}; give a value like its default {known[name]!r}.')


def make_estimator(family: str, params: Mapping[str, Any] | None = None, seed: int = 0) -> TableClassifier:
    """An unfitted estimator of `family` with `params` over its defaults and `seed` as its random state.

    Raises UnknownFamily and UnknownParameter, both ValueErrors that name the nearest right word.
    """
    settings = dict(params or {})
    check_parameters(family, settings)
    return family_class(family)(**settings, **{SEED_PARAMETER: seed})


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""
