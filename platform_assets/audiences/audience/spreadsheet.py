"""A table as a CSV that a spreadsheet program shows instead of running.

Belongs here: texts that such programs take for formulas, as https://owasp.org/www-community/attacks/CSV_Injection lists them.
Does not belong here: which rows and columns (`audience`). A text changed here stands exact in the Parquet beside it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# Also in full width, and behind white space, which some programs drop.
FORMULA = r"^(\s*[=+\-@＝＋－＠]|[\t\r\n])"


def write_csv(table: "pa.Table", path: Path) -> None:
    """Write a table; a text that begins as a formula does gets an apostrophe in front, numbers stay as they are."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv

    for number, field in enumerate(table.schema):
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            shown = pc.replace_substring_regex(table.column(number), FORMULA, r"'\1", max_replacements=1)
            table = table.set_column(number, field, shown)
    pa.csv.write_csv(table, path)
