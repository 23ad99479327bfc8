"""What a person declares about a source of AWS exports: the attributes of `defs/sources/<name>/defs.yaml`.

Belongs here: the fields, their meaning and what is refused in them. Does not belong here: reading any export.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from platform_assets.data.exports.export import ExportFormat
from platform_assets.foundation.documents.sentences import Owner, Spelled

_Name = Annotated[
    str,
    Spelled(
        r"^[a-z][a-z0-9_]*$",
        "is not a name; write lower-case letters, digits and _ that begin with a letter, such as orders",
    ),
]


class ExportTableSpec(BaseModel):
    """One table of a source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Name = Field(description="Name of the raw table, in lower case: `orders`.")
    export_table: str = Field(
        min_length=1,
        description="The table as the export names it: `schema.table` for Aurora (on MySQL the schema is the "
        "database), the table's name for DynamoDB.",
    )
    key: list[str] = Field(
        min_length=1,
        description="Columns (Aurora) or attributes (DynamoDB) that together identify a row. An export "
        "in which two rows share them, or in which one is missing, is refused.",
    )

    @field_validator("key")
    @classmethod
    def _key_columns(cls, key: list[str]) -> list[str]:
        if len(set(key)) != len(key) or not all(key):
            raise ValueError("name each key column once, and none of them empty")
        return key


class ExportSourceSpec(BaseModel):
    """A source of AWS exports. Its name is that of the folder the YAML lies in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field(min_length=1, description="What the source holds and which system it comes from.")
    owner: Owner = Field(description="Who answers for the source: an e-mail address, or `team:name`.")
    format: ExportFormat = Field(
        description="How AWS wrote the exports: `aurora_snapshot` (snapshot export to S3, Parquet) or "
        "`dynamodb_full` (full table export to S3, DynamoDB JSON)."
    )
    path: str = Field(
        description="Folder of the exports below the exports root, as `shop`: for Aurora the one with a "
        "folder an export, for DynamoDB the export prefix that holds `AWSDynamoDB/`."
    )
    database: str | None = Field(
        default=None, min_length=1, description="Aurora only: the database whose tables are read."
    )
    tables: list[ExportTableSpec] = Field(min_length=1, description="The tables to load; all others are left alone.")

    @field_validator("path")
    @classmethod
    def _path(cls, path: str) -> str:
        parts = path.split("/")
        if not all(parts) or any(part.startswith(".") for part in parts):
            raise ValueError("write a folder below the exports root, without leading or trailing / and without ..")
        return path

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind in ("name", "export_table"):
            stated = [getattr(table, kind) for table in self.tables]
            if doubled := sorted({value for value in stated if stated.count(value) > 1}):
                raise ValueError(f"tables: {kind} {', '.join(doubled)} is given more than once")
        if self.format == "aurora_snapshot":
            if self.database is None:
                raise ValueError("database: an aurora_snapshot source names its database")
            for table in self.tables:
                if table.export_table.count(".") != 1:
                    raise ValueError(f"tables: export_table {table.export_table!r} is not of the form schema.table")
        elif self.database is not None:
            raise ValueError("database: a dynamodb_full source has none; remove the field")
        return self
