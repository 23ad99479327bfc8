"""The estimator families by name, each imported when first asked for.

Belongs here: names, default parameters, and refusing names that do not exist. Does not belong here: any
family's work. Adding a family is one file with a `TableClassifier` and one line in `FAMILIES`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platform_assets.learning.estimator import TableClassifier

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "lightgbm": "platform_assets.learning.gbdt:LightGBMClassifier",
        "network": "platform_assets.learning.network:NetworkClassifier",
        "logistic": "platform_assets.learning.logistic:LogisticClassifier",
    }
)
SEED_PARAMETER = "random_state"


class UnknownFamily(ValueError):
    """No family has that name; the message lists those that exist."""


class UnknownParameter(ValueError):
    """The family has no parameter of that name; the message gives the nearest right one."""


def family_module(family: str) -> str:
    """The module that holds `family`. Raises UnknownFamily."""
    if family not in FAMILIES:
        raise UnknownFamily(
            f'There is no model family "{family}"{_nearest(family, FAMILIES)}. '
            f"Families: {', '.join(FAMILIES)}."
        )
    return FAMILIES[family].split(":")[0]


def family_class(family: str) -> type[TableClassifier]:
    """The class of `family`. Raises UnknownFamily."""
    module = importlib.import_module(family_module(family))
    return getattr(module, FAMILIES[family].split(":")[1])


def default_parameters(family: str) -> dict[str, Any]:
    """Every parameter that may be set for `family`, with its default; the seed is not one of them."""
    parameters = family_class(family)().get_params(deep=False)
    return {name: value for name, value in parameters.items() if name != SEED_PARAMETER}


def check_parameters(family: str, params: Mapping[str, Any]) -> None:
    """Raise UnknownFamily or UnknownParameter unless every name in `params` is a parameter of `family`."""
    known = default_parameters(family)
    for name in params:
        if name == SEED_PARAMETER:
            raise UnknownParameter(
                f'"{SEED_PARAMETER}" is not set among the parameters of "{family}": pass the seed.'
            )
        if name not in known:
            raise UnknownParameter(
                f'The model family "{family}" has no parameter "{name}"{_nearest(name, known)}. '
                f"Parameters: {', '.join(known)}."
            )


def make_estimator(family: str, params: Mapping[str, Any] | None = None, seed: int = 0) -> TableClassifier:
    """An unfitted estimator of `family` with `params` over its defaults and `seed` as its random state.

    Raises UnknownFamily and UnknownParameter, both ValueErrors that name the nearest right word.
    """
    given = dict(params or {})
    check_parameters(family, given)
    return family_class(family)(**given, **{SEED_PARAMETER: seed})


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""
