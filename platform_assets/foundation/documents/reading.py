"""Reading YAML that people write: bounded, plain, every key with its line. The one place where such a file is opened.

Plain means as YAML 1.2 reads it, and no more: keys are text; `yes`, `no`, `on` and `off` are words; dates stay text; no
anchors, aliases, tags or merges, with which a kilobyte can stand for gigabytes or for itself. Does not belong here: what
a file should hold.
"""

import math
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from platform_assets.foundation.documents.sentences import FROM_FILE, lines_of

# A source of 1,000 tables; PyYAML takes two seconds for it.
MAX_BYTES = 128 * 1024
# The deepest key of any declaration is at 5: attributes.advanced.models.<name>.<parameter>.
MAX_DEPTH = 16
MAX_INTEGER = 2**63 - 1
_TAG = "tag:yaml.org,2002:"
_WHOLE = r"[-+]?(?:0|[1-9][0-9_]{0,29})"
# Bounded, so that a commit of digits and one e stays text.
_REAL = r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]{1,3})?|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]{1,3})?|[0-9]{1,18}[eE][-+]?[0-9]{1,3})"
_RESOLVED = {
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (rf"{_WHOLE}|[-+]?0x[0-9a-fA-F][0-9a-fA-F_]{{0,29}}|[-+]?0b[01][01_]{{0,79}}", "-+0123456789"),
    "float": (rf"{_REAL}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+0123456789."),
}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_HINTS = {
    "<stream end>": "ends within a [, { or quote that is not closed",
    "cannot start any token": "a character (a tab, @ or `) that cannot begin a word here; indent by spaces, put text into quotes",
    "mapping values are not allowed here": "a second `:` in a line, or a key that is indented wrongly; put text with : into quotes",
    "but found another document": "holds two documents (`---`); keep one",
    "could not find expected ':'": "a key without its `:`",
    "expected <block end>": "a line that is indented unlike those around it",
    "expected the node content": "a value is missing, or begins with a sign that has to stand in quotes",
    "expected ',' or": "a comma or a closing bracket is missing",
    "end of stream": "ends within a quote that is not closed",
}


class DeclarationError(ValueError):
    """A file that cannot be honoured; one `file:line: key: what is wrong` a line."""


@dataclass(frozen=True)
class Document:
    """A file that was read.

    Attributes:
        value: its mappings, lists, texts, numbers, truth values and nulls.
        lines: keys from the top → the line that they stand on.
        top: keys down to what `at` and `as_model` speak of.
    """

    path: Path
    value: Any
    lines: Mapping[tuple[str | int, ...], int]
    top: tuple[str, ...] = ()

    def at(self, keys: Iterable[str | int], message: str) -> str:
        """`file:line: key.key: message`, by the nearest key that the file holds."""
        keys = tuple(keys)
        whole = (*self.top, *keys)
        line = next(self.lines[whole[:end]] for end in range(len(whole), -1, -1) if whole[:end] in self.lines)
        key = ".".join(map(str, keys or self.top[-1:]))
        return f"{self.path}:{line}: {key}: {message}" if key else f"{self.path}:{line}: {message}"

    def as_model(self, model: type[BaseModel], value: Any, below: tuple[str, ...] = ()) -> Any:
        """`value`, which stands `below` what this speaks of, as `model`.

        Raises:
            DeclarationError: naming every field that is wrong.
        """
        try:
            return model.model_validate(value, context=FROM_FILE)
        except ValidationError as error:
            wrong = [self.at([*below, *keys], words) for keys, words in lines_of(error, model, value)]
            raise DeclarationError("\n".join(wrong)) from error


def read_document(path: Path) -> Document:
    """The file at `path`; of an empty one the value is None.

    Raises:
        DeclarationError: it cannot be read, is no plain YAML in UTF-8, states a key twice, or is too large or too deep.
    """
    content = _content(path)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DeclarationError(f"{path}:{line}: is not text in UTF-8; save it as such") from error
    try:
        return _Reading(path, text).document()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DeclarationError(
            f"{path}:{line}: not readable as YAML: holds the control character {int(error.character):#04x}; remove it"
        ) from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", None) or error)
        line = mark.line + 1 if mark else 1
        words = next((hint for part, hint in _HINTS.items() if part in problem), problem)
        raise DeclarationError(f"{path}:{line}: not readable as YAML: {words}") from error


def _content(path: Path) -> bytes:
    """At most `MAX_BYTES` of a regular file: a pipe would never end, and a device neither."""
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            what = "a folder" if stat.S_ISDIR(kind) else "a pipe, a socket or a device"
            raise DeclarationError(f"{path}: is {what}, not a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DeclarationError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise DeclarationError(f"{path}: is larger than {MAX_BYTES // 1024} KiB; no declaration is")
    return content


class _Loader(yaml.SafeLoader):
    """Composes nodes of what is plain alone."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self._path, self._depth = path, 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise DeclarationError(
                f"{self._path}:{line}: anchors and aliases (& and *) are not read here; write it out, or put the text into quotes"
            )
        if event.tag is not None:
            raise DeclarationError(f"{self._path}:{line}: tags (!) are not read here; put the text into quotes")
        if self._depth >= MAX_DEPTH:
            raise DeclarationError(f"{self._path}:{line}: nested deeper than {MAX_DEPTH} levels; no declaration is")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _name, (_pattern, _first) in _RESOLVED.items():
    _Loader.add_implicit_resolver(
        _TAG + _name, re.compile(rf"(?:{_pattern})\Z"), ["" if c == "\0" else c for c in _first]
    )


@dataclass
class _Reading:
    """One text on its way to a document."""

    path: Path
    text: str
    lines: dict[tuple[str | int, ...], int] = field(default_factory=lambda: {(): 1})

    def document(self) -> Document:
        loader = _Loader(self.path, self.text)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        return Document(self.path, None if node is None else self._value(node, ()), self.lines)

    def _value(self, node: yaml.Node, at: tuple[str | int, ...]) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            for index, one in enumerate(node.value):
                self.lines[(*at, index)] = one.start_mark.line + 1
            return [self._value(one, (*at, index)) for index, one in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, at: tuple[str | int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise DeclarationError(f"{self.path}:{line}: a key here is one word")
            name = self._text(key)
            if name in values:
                raise DeclarationError(f"{self.path}:{line}: {name}: stands here twice; keep one")
            self.lines[(*at, name)] = line
            values[name] = self._value(value, (*at, name))
        return values

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text, kind = self._text(node), node.tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            number = int(text.replace("_", ""), 0)
            if abs(number) > MAX_INTEGER:
                raise self._refusal(node, "is larger than any number here")
            return number
        if kind == "float":
            real = float(re.sub(r"^([-+]?)\.(?=[a-zA-Z])", r"\1", text.replace("_", "")))
            if not math.isfinite(real):
                raise self._refusal(node, "is not a finite number")
            return real
        return text

    def _text(self, node: yaml.ScalarNode) -> str:
        text = str(node.value)
        if control := _CONTROL.search(text):
            raise DeclarationError(
                f"{self.path}:{node.start_mark.line + 1}: holds the control character {ord(control[0]):#04x}; remove it"
            )
        return text

    def _refusal(self, node: yaml.ScalarNode, words: str) -> DeclarationError:
        return DeclarationError(f"{self.path}:{node.start_mark.line + 1}: {node.value[:30]} {words}")
