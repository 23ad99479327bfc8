"""Files that people write: plain YAML is read as it says, and anything else is refused with file and line."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.foundation.documents.reading import MAX_BYTES, MAX_DEPTH, DeclarationError, read_document

NOBODY = 65534


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("written") / "defs.yaml"


def read(place: Path, text: str | bytes) -> Any:
    place.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return read_document(place).value


def refusal(path: Path) -> str:
    with pytest.raises(DeclarationError) as refused:
        read_document(path)
    said = str(refused.value)
    assert said.startswith(f"{path}:")
    return said.removeprefix(str(path))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a {b: *a}\n", ":1: anchors and aliases (& and *) are not read here"),
        ("a: &a 1\nb: 2\n", ":1: anchors and aliases"),
        ("a: 1\nb: *a\n", ":2: anchors and aliases"),
        ("\n".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 24)), ":1: anchors and aliases"),
        ("a: !!int x", ":1: tags (!) are not read here"),
        ("a: !!python/object/apply:os.system [ls]", ":1: tags (!) are not read here"),
        ("a: !!binary eA==", ":1: tags (!) are not read here"),
        ("a:\n  <<: {b: 1}\n  b: 2\n  b: 3", ":4: b: stands here twice; keep one"),
        ("1: a\n'1': b", ":2: 1: stands here twice; keep one"),
        ("? [a, b]\n: 1", ":1: a key here is one word"),
        ("? {a: b}\n: 1", ":1: a key here is one word"),
        ("[" * 100_000, f":1: nested deeper than {MAX_DEPTH} levels"),
        ("{a: " * 30_000, f":1: nested deeper than {MAX_DEPTH} levels"),
        ("- " * 50_000, f":1: nested deeper than {MAX_DEPTH} levels"),
        ("? " * 50_000, f":1: nested deeper than {MAX_DEPTH} levels"),
        ("# " + "x" * MAX_BYTES, ": is larger than 128 KiB; no declaration is"),
        (b"a: 1\nb: \xff\xfe", ":2: is not text in UTF-8; save it as such"),
        ("a: 1".encode("utf-16"), ":1: is not text in UTF-8; save it as such"),
        (b"a: 1\nb: \x00", ":2: not readable as YAML: holds the control character 0x00; remove it"),
        ('a: 1\nb: "\\0"', ":2: holds the control character 0x00; remove it"),
        ('a: "\\ud800"', ":1: holds the control character 0xd800; remove it"),
        ("a:\n\tb: 1", ":2: not readable as YAML: a character (a tab, @ or `) that cannot begin a word here"),
        ("a: b: c", ":1: not readable as YAML: a second `:` in a line"),
        ("a: 1\n---\na: 2", ":2: not readable as YAML: holds two documents (`---`); keep one"),
        ("a: [1, 2", ":1: not readable as YAML: ends within a [, { or quote that is not closed"),
        ("a: 'x", ":1: not readable as YAML: ends within a quote that is not closed"),
        ("a: 1e999", ":1: 1e999 is not a finite number"),
        ("a: 1\nb: .inf", ":2: .inf is not a finite number"),
        ("a: .nan", ":1: .nan is not a finite number"),
        ("a: 99999999999999999999", ":1: 99999999999999999999 is larger than any number here"),
    ],
)
def test_what_is_not_plain_is_refused_with_file_and_line(place: Path, text: str | bytes, said: str) -> None:
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert refusal(place).startswith(said)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("true", True), ("False", False),
        ("null", None), ("~", None), ("", None), ("''", ""), ("2024-01-31", "2024-01-31"), ("12", 12), ("-3", -3),
        ("1_000", 1000), ("0x1F", 31), ("010", "010"), ("1:30", "1:30"), ("1.5", 1.5), ("1e-3", 0.001), (".5", 0.5),
        ("0x_", "0x_"), ("1234567890123456789012345678901234567e12", "1234567890123456789012345678901234567e12"),
        ("9" * 5000, "9" * 5000), ("<<", "<<"), ("=", "="), ("10%", "10%"), ("'1'", "1"), ("a b", "a b"),
    ],
)  # fmt: skip
def test_a_word_is_what_it_looks_like(place: Path, written: str, value: object) -> None:
    seen = read(place, f"a: {written}\n{written or 'b'}: 1\n" if len(written) < 100 else f"a: {written}\n")
    assert seen["a"] == value
    assert type(seen["a"]) is type(value)
    assert all(isinstance(key, str) for key in seen)


def test_nothing_is_nothing_and_a_byte_order_mark_is_no_word(place: Path) -> None:
    assert read(place, "") is None
    assert read(place, "# to come\n") is None
    assert read(place, "\ufeffa: 1\n") == {"a": 1}


def test_every_key_and_item_has_its_line(place: Path) -> None:
    place.write_text("a: 1\nb:\n  c:\n    - x\n    - {d: 2}\n")
    document = read_document(place)
    assert document.at(["b", "c", 1, "d"], "so") == f"{place}:5: b.c.1.d: so"
    assert document.at(["b", "c", 0], "so") == f"{place}:4: b.c.0: so"
    assert document.at(["b", "elsewhere"], "so") == f"{place}:2: b.elsewhere: so"
    assert document.at([], "so") == f"{place}:1: so"


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(categories=["L", "N"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(plain)
@settings(max_examples=60, deadline=None)
def test_what_json_says_is_read_as_json_reads_it(place: Path, value: object) -> None:
    assert read(place, json.dumps(value, ensure_ascii=False)) == value


@given(plain)
@settings(max_examples=60, deadline=None)
def test_what_a_yaml_writer_writes_is_read_as_it_was(place: Path, value: object) -> None:
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=False, width=60)
    if "&id" not in text and "!!" not in text:
        assert read(place, text) == value


SCRAPS = st.sampled_from(
    [*"&*!|>%@`[]{}:,-?#'\"\n\t 0x", "a: ", "- ", "&a ", "*a", "!!int ", "<<: ", "---\n", "...\n", "%YAML 1.1\n", "\\0", "1e999", "\ufeff"]
)  # fmt: skip


@given(st.binary(max_size=60) | st.lists(SCRAPS | st.text(max_size=4), max_size=25).map("".join))
@settings(max_examples=300, deadline=None)
def test_no_content_gives_anything_but_plain_values_or_a_refusal_that_names_the_file(
    place: Path, content: bytes | str
) -> None:
    try:
        value = read(place, content)
    except DeclarationError as refused:
        value, said = None, str(refused)
    else:
        said = f"{place}:"
    assert said.startswith(f"{place}:")
    assert json.dumps(value, allow_nan=False).encode()


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user whom files of others are closed to; root is another user meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_what_is_no_file_that_can_be_read_is_said_and_never_waited_for(tmp_path: Path) -> None:
    folder, pipe, loop, gone, device = (tmp_path / name for name in ("folder", "pipe", "loop", "gone", "device"))
    folder.mkdir()
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    gone.symlink_to(tmp_path / "nowhere")
    device.symlink_to("/dev/zero")
    assert refusal(folder) == ": is a folder, not a file"
    assert refusal(pipe) == ": is a pipe, a socket or a device, not a file"
    assert refusal(device) == ": is a pipe, a socket or a device, not a file"
    assert refusal(loop) == ": cannot be read: Too many levels of symbolic links"
    assert refusal(gone) == ": cannot be read: No such file or directory"
    closed = tmp_path / "closed"
    closed.write_text("a: 1")
    closed.chmod(0)
    with without_rights():
        assert refusal(closed) == ": cannot be read: Permission denied"
