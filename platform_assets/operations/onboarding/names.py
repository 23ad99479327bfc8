"""Names: of the export as names that SQL takes on both engines, and what a name says of a column.

Belongs here: words. Does not belong here: looking at values.
"""

import re
from collections.abc import Collection, Iterable

# DuckDB takes these for a type or a part of its grammar where a column's name would stand.
_DUCKDB_WORDS = (
    "all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default "
    "deferrable desc describe distinct do else end except false fetch for foreign from group having in initially intersect "
    "into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider placing primary "
    "qualify references returning select show some summarize symmetric table then to trailing true union unique unpivot "
    "using variadic when where window with "
    "anti asof at authorization between bigint binary bit boolean by char character coalesce collation columns concurrently "
    "cross dec decimal exists extract float freeze full generated glob grouping grouping_id ilike inner inout int integer "
    "interval is isnull join left like map national natural nchar none notnull nullif numeric out outer overlaps overlay "
    "position positional precision real right row semi setof similar smallint struct substring tablesample time timestamp "
    "treat trim try_cast tuple unpack values varchar verbose"
)
# cloud.google.com/bigquery/docs/reference/standard-sql/lexical#reserved_keywords
_BIGQUERY_WORDS = (
    "all and any array as asc assert_rows_modified at between by case cast collate contains create cross cube current "
    "default define desc distinct else end enum escape except exclude exists extract false fetch following for from full "
    "graph_table group grouping groups hash having if ignore in inner intersect interval into is join lateral left like lookup "
    "merge natural new no not null nulls of on or order outer over partition preceding proto qualify range recursive "
    "respect right rollup rows select set some struct tablesample then to treat true unbounded union unnest using when "
    "where window with within"
)
RESERVED = frozenset(_DUCKDB_WORDS.split()) | frozenset(_BIGQUERY_WORDS.split())
# Columns that the platform's own tables and macros have.
_TAKEN = frozenset({"valid_from", "valid_to", "item_values", "_export_id", "_exported_at"})
_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f\"'`\\*]|\{[{%#]|[}%#]\}")
_PEOPLE_WORDS = (
    "account client consumer contact customer donor fan guest household learner member parent passenger patient patron person "
    "player profile reader shopper student subscriber tenant user viewer visitor"
)
_PEOPLE = frozenset(_PEOPLE_WORDS.split())
_PERSON_KEY = re.compile(rf"({'|'.join(sorted(_PEOPLE))})_?(?:id|key|no|number|uuid)")
_IDENTIFIER = re.compile(
    r"(.*_)?(id|ids|key|uuid|guid|no|nr|number|code|upc|ean|sku|isbn|asin|gtin|barcode|ref|reference|hash|token|zip|postcode"
    r"|zip_code|postal_code|phone|serial)"
)
_MEASURE = re.compile(
    r"(.*_)?(quantity|qty|amount|amt|price|value|cost|total|subtotal|count|sum|sales|revenue|spend|paid|discount|disc|points"
    r"|units|items|pieces|duration|seconds|minutes|hours_played|bytes|size|weight|distance|score|rating|stars|tax|fee|fare|tip"
    r"|margin|profit|balance|views|clicks|plays|visits|pages)(_(cents|eur|usd|gbp|chf|grams|kg|km|ms))?"
)
_NOT_SUMMED = re.compile(
    r"(.*_)?(lat|latitude|lon|lng|longitude|rate|ratio|percent|percentage|pct|share|version|rank|position|level|age|year|month"
    r"|week|day|weekday|quarter|hour|code|status|state|type|kind|class|grade)(_.*)?"
)
_LATER = re.compile(
    r"(.*_)?(updated?|modified|changed|deleted|removed|expire[sd]?|expiry|shipped|delivered|returned|refunded|cancell?ed"
    r"|closed|ended|finished|last|birth|born|dob|valid|due|end|until|synced|processed)(_.*)?"
)
_TIMELIKE = re.compile(r"(.*_)?(at|on|time|date|datetime|timestamp|ts|instant|when|created|since|day)")
_PERSONAL = re.compile(
    r"(.*_)?(first_name|last_name|full_name|surname|forename|family_name|given_name|nickname|username|login|email|e_mail|mail"
    r"|phone|mobile|telephone|fax|address|street|house_number|city|zip|zip_code|postcode|postal_code|birth.*|born.*|dob|gender|sex"
    r"|age|age_.*|income|salary|marital_status|marital.*|ethnicity|religion|nationality|occupation|ip|ip_address|ssn|iban|bic"
    r"|passport|tax_id|latitude|longitude|home_ownership|household_.*|kids.*|children)"
)


def unspeakable(name: str) -> bool:
    """Whether a name holds characters that no model can hold: quotes, backslashes, stars, control characters, Jinja's brackets."""
    return not name or _UNSPEAKABLE.search(name) is not None


def column_name(path: Iterable[str], taken: Collection[str] = ()) -> str:
    """A name for a column: lower case, no keyword, none of `taken`."""
    words = "_".join(path)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words)
    plain = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "column"
    if plain[0].isdigit():
        plain = f"column_{plain}"
    plain = plain[:120]
    if plain in RESERVED or plain in _TAKEN:
        plain += "_"
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain.rstrip('_')}_{number}", number + 1
    return name


def singular(name: str, known: Collection[str] = ()) -> str:
    """One of what a table holds: orders → order; of several spellings, the one of which `known` holds `<one>_id`."""
    candidates = [name]
    if name.endswith("s") and not name.endswith("ss"):
        candidates.insert(0, name[:-1])
        if name.endswith("ies"):
            candidates.insert(0, f"{name[:-3]}y")
        elif re.search(r"(s|x|z|ch|sh)es$", name):
            candidates.insert(0, name[:-2])
    return next((one for one in candidates if f"{one}_id" in known), candidates[0])


def person_of(column: str) -> str | None:
    """The kind of person that a column names, as `customer` of customer_id; None where it names none."""
    match = _PERSON_KEY.fullmatch(column)
    return match[1] if match else None


def is_person(word: str) -> bool:
    return word in _PEOPLE


def is_identifier(column: str) -> bool:
    return _IDENTIFIER.fullmatch(column) is not None or (column.endswith("id") and person_of(column) is not None)


def is_measure(column: str) -> bool:
    return _MEASURE.fullmatch(column) is not None


def is_not_summed(column: str) -> bool:
    return _NOT_SUMMED.fullmatch(column) is not None


def is_later(column: str) -> bool:
    """Whether an instant is one that is written after the event, as updated_at."""
    return _LATER.fullmatch(column) is not None


def is_timelike(column: str) -> bool:
    return _TIMELIKE.fullmatch(column) is not None


def is_personal(column: str) -> bool:
    return _PERSONAL.fullmatch(column) is not None
