"""What an engine, dbt or a reader of files says went wrong, without the values of the data that it quotes.

Belongs here: which of their words are safe to repeat. Does not belong here: what the platform makes of them.

DuckDB says first of what kind an error is. What it says before it reads a value (of names, SQL, files) is repeated. What it
says while it reads may hold values anywhere, quoted or not: of that, only words are repeated that are known to hold none.
BigQuery says where in the SQL an error stands while it has read nothing yet.
"""

import re

BLOT = "…"
_DUCKDB = re.compile(
    r"\b(?P<kind>[A-Z][A-Za-z]*(?: [A-Za-z]+){0,2}) Error: (?P<said>.*?)(?=\n\s*compiled code at |\Z)", re.DOTALL
)
_NOTHING_READ = frozenset(
    {"Binder", "Catalog", "Connection", "Dependency", "Extension Autoloading", "HTTP", "IO", "Invalid Configuration"}
    | {"INTERRUPT", "Missing Extension", "Network", "Out of Memory", "Parser", "Permission", "Settings", "Syntax"}
)
_TYPE = r"[A-Z][A-Z0-9_]*(?:\(\d+(?:, ?\d+)?\))?(?:\[\])?"
# How a message may begin, up to where it may quote.
_BEGINNINGS = re.compile(
    "|".join(
        [
            rf'Error while reading file "[^"\n]*": failed to cast column "[^"\n]*" from type {_TYPE} to {_TYPE}',
            r"No magic bytes found at end of file '[^'\n]*'",
            r"Footer length error in file '[^'\n]*'",
            r'Malformed JSON in file "[^"\n]*", at byte \d+ in line \d+: [A-Za-z0-9 -]+',
            r"Malformed JSON at byte \d+ of input: [A-Za-z0-9 -]+",
            r"CSV Error on Line: \d+",
            r'Error when sniffing file "[^"\n]*"',
            r"Could not (?:convert|parse|decode) (?:string|value)",
            rf"Type {_TYPE} with value",
            r"invalid [a-z]+ field format",
            rf"Overflow in [a-z]+ of {_TYPE}",
            r"Duplicate key",
            # What the project's own macros say.
            r"(?:attribute|column) [\w.-]+ holds a (?:number|list) [\w ]+; read it (?:as text, or )?with [\w ]+",
            r"Unimplemented type for cast \([A-Z]+ -> [A-Z]+\)",
        ]
    )
)
# Lines of their own that hold no values.
_LINES = re.compile(
    r"^(?:Invalid unicode \(byte sequence mismatch\) detected|Expected Number of Columns: \d+ Found: \d+|"
    r"Maximum line size of \d+ bytes exceeded|Value with unterminated quote found)",
    re.MULTILINE,
)
_ENDING = re.compile(
    rf"(?: to (?:the destination type )?{_TYPE}| for the destination type {_TYPE})?(?: when casting from source column \w+)?\Z"
)
# dbt speaks of its project alone.
_OF_A_PROJECT = re.compile(r"\s*(?:Encountered an error:\s*)?(?:Compilation|Parsing|Dependency) Error\b")
_IN_THE_SQL = re.compile(r" at \[\d+:\d+\]\s*(?=\n\s*compiled code at |\Z)")
# BigQuery: "Bad int64 value: 12x", "Invalid timestamp: …", "Division by zero: 5 / 0", "int64 overflow: …".
_NAMED_VALUE = re.compile(
    r"\b((?:Bad|Invalid|Could not (?:cast|parse)|Failed to parse|Division by zero|\w+ overflow|Out of range)[^:\n]*): "
    r".*?(?=\n\s*compiled code at |\Z)",
    re.DOTALL,
)
_QUOTED = re.compile(r"'.*'|\".*\"", re.DOTALL)
_IN_A_LINE = re.compile(r"'[^'\n]*'")


def without_values(message: str) -> str:
    """A message with everything blotted out that may be a value of the data."""
    if _OF_A_PROJECT.match(message):
        return message
    if _DUCKDB.search(message):
        return _DUCKDB.sub(_of_duckdb, message)
    if _IN_THE_SQL.search(message):
        return message
    named = _NAMED_VALUE.sub(rf"\1: {BLOT}", message)
    return _QUOTED.sub(f"'{BLOT}'", named) if " Error in " in message else _IN_A_LINE.sub(f"'{BLOT}'", named)


def reason_of(error: Exception) -> str:
    """The first line of what an engine's or a reader's error says, without values."""
    text = str(error)
    return without_values(text if _DUCKDB.search(text) else _QUOTED.sub(f"'{BLOT}'", text)).splitlines()[0]


def _of_duckdb(error: re.Match[str]) -> str:
    kind, said = error["kind"], error["said"]
    if kind in _NOTHING_READ:
        return error[0]
    said = re.split(r"\n\s*\n\s*LINE \d+:", said)[0].rstrip()
    begins, line = _BEGINNINGS.match(said), _LINES.search(said)
    ends = _ENDING.search(said) if begins else None
    parts = [
        begins[0] if begins else "",
        f": {line[0]}" if line else "",
        f" {BLOT}{ends[0]}" if ends and ends[0] else "",
    ]
    return f"{kind} Error: {''.join(parts) or BLOT}"
