"""What pydantic finds wrong with a declaration, as sentences; and the shapes of words that several declarations share.

A sentence that says what to write says what is then taken.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

# A validation context: the value comes from a file as a person wrote it, not from a record with its defaults filled in.
FROM_FILE: Mapping[str, Any] = {"from_file": True}
SHOWN_PROBLEMS = 20
SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Spelled:
    """Of a text: the pattern that it has as a whole, and what is said of one that has not, after the text itself."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(schema) | {"pattern": self.pattern}

    def _checked(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"{shown(text)} {self.words}")
        return text


# Dagster takes no other e-mail address.
Owner = Annotated[
    str,
    Spelled(
        r"^(team:[A-Za-z0-9_.-]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7})$",
        "is neither an e-mail address such as crm@example.com nor team: and a name, such as team:crm",
    ),
]


def shown(value: object) -> str:
    """A value as a message quotes it, cut short."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "…"?` with the nearest known word, or what is known when nothing is near."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known are {', '.join(known)}" if known else ""


def lines_of(error: ValidationError, model: type[BaseModel], value: Any) -> Iterator[tuple[list[str | int], str]]:
    """(keys, sentence) of each problem with `value`, the first that a key has, and of so many that a person reads them."""
    stated = [(tuple(_keys(problem, value)), problem) for problem in error.errors()]
    problems: dict[tuple[str | int, ...], str] = {}
    for keys, problem in stated:
        # Of a word or something larger, what is wrong with the larger.
        deeper = any(len(other) > len(keys) and other[: len(keys)] == keys for other, _ in stated)
        if problem["type"] != "literal_error" or not deeper:
            problems.setdefault(keys, _words(problem, model))
    for number, (keys, words) in enumerate(problems.items()):
        if number == SHOWN_PROBLEMS:
            yield list(keys), f"and {len(problems) - number} more from here on"
            return
        yield list(keys), words


def _keys(problem: Mapping[str, Any], value: Any) -> Iterator[str | int]:
    """A pydantic location without the names of union members, which no file holds."""
    missing = problem["loc"][-1] if problem["type"] == "missing" else None
    for part in problem["loc"]:
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
        elif part != missing:
            continue
        yield part


def _words(problem: Mapping[str, Any], model: type[BaseModel]) -> str:
    kind, location, given = problem["type"], problem["loc"], problem["input"]
    details = problem.get("ctx", {})
    if kind == "extra_forbidden":
        return f"is not a field here{did_you_mean(str(location[-1]), _fields(location[:-1], model))}"
    if kind == "missing":
        return "is missing"
    if given is None and kind.endswith("_type"):
        return "is empty; write a value"
    if kind in ("literal_error", "enum"):
        return f"{shown(given)} is not one of {details['expected']}"
    if kind == "string_type" and isinstance(given, bool | int | float):
        return f"{shown(given)} is no text; a text that looks like one stands in quotes"
    if kind in ("model_type", "model_attributes_type"):
        fields = _fields(location, model)
        return f"{shown(given)} is not what goes here; it takes keys{': ' if fields else ''}{', '.join(fields)}"
    if kind in ("tuple_type", "list_type"):
        words = f"[{json.dumps(given, ensure_ascii=False)}]" if isinstance(given, str | int | float) else "[…]"
        return f"{shown(given)} is not a list; write {words}"
    if kind in _KINDS:
        return f"{shown(given)} is not {_KINDS[kind]}"
    if kind == "too_short":
        return "is empty; name at least one"
    message = str(problem["msg"])
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    message = message.removeprefix("Input ")
    return message[0].lower() + message[1:]


_KINDS = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number such as 5"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number such as 0.5"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "a text",
    "dict_type": "a mapping; it takes keys and values, such as {a: 1}",
}


def _fields(location: tuple[str | int, ...], model: type[BaseModel]) -> list[str]:
    """The fields of the model that a location stands for, as a file names them."""
    models = [model]
    for part in location:
        below = [inner for outer in models if part in outer.model_fields for inner in _models(outer, str(part))]
        models = below or [member for member in models if part == f"<{member.__name__}>"] or models
    return sorted({field.alias or name for member in models for name, field in member.model_fields.items()})


def _models(model: type[BaseModel], name: str) -> list[type[BaseModel]]:
    waiting: list[Any] = [model.model_fields[name].annotation]
    for annotation in waiting:  # grows while it is walked
        waiting.extend(getattr(annotation, "__args__", ()))
    return [annotation for annotation in waiting if isinstance(annotation, type) and issubclass(annotation, BaseModel)]
