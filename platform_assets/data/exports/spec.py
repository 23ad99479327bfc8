"""What a person declares about a source of AWS exports: the attributes of `defs/sources/<name>/defs.yaml`.

Belongs here: the fields, their meaning and what is refused in them. Does not belong here: reading any export.
"""

from datetime import timedelta
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from platform_assets.data.exports.export import ExportFormat, holds_changes, holds_quarantine
from platform_assets.foundation.documents.sentences import Owner, Spelled

_Name = Annotated[
    str,
    Spelled(
        r"^[a-z][a-z0-9_]*$",
        "is not a name; write lower-case letters, digits and _ that begin with a letter, such as orders",
    ),
]

# What DynamoDB sources were called when there were full exports alone.
_ALIAS = "dynamodb_full"
Share = Annotated[float, Field(ge=0, le=1)]


class Expectations(BaseModel):
    """How far a table may differ from the export before it, and how much of an export may be broken; 0.05 is 5 %."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys_gone: Share = Field(
        default=0.05,
        description="Of the keys of the export before, at most this share may be absent; else marts are not built. 1 where rows "
        "are meant to go, as with DynamoDB's time to live.",
    )
    rows_at_least: Share = Field(
        default=0.5, description="Rows as a share of the export before; with fewer, marts are not built."
    )
    rows_at_most: float = Field(
        default=2.0, ge=1, description="Rows as a multiple of the export before; with more, the check warns."
    )
    filled: Share = Field(
        default=0.05,
        description="A column or attribute that had a value in at least this share of the rows, and has none now, is lost, "
        "and marts are not built; what is rarer may be absent by chance. A column that the export itself no longer "
        "has is always lost.",
    )
    nulls_more: Share = Field(
        default=0.2,
        description="The share of a column that is null, or of items without an attribute, may grow by this much; beyond, the "
        "check warns.",
    )
    quarantine_at_most: Share = Field(
        default=0.0,
        description="Of the rows of an export, at most this share may be broken: they go to a quarantine, each with file, line and "
        "reason, and the others are loaded. With more, and by default with a single one, nothing of the export is loaded.",
    )


class Accepted(BaseModel):
    """One export of one table that somebody looked at, and that is meant to be as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    export: str = Field(min_length=1, description="Id of the export, as AWS named it.")
    table: str = Field(description="`name` of the table.")
    because: str = Field(min_length=1, description="Why the difference is right, for whoever reads it later.")


Origin = (
    Annotated[
        str,
        Spelled(
            r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(?!\.\.?(/|$))[A-Za-z0-9!_.*'()=-]+)*$",
            "is no place in S3; write it as s3://bucket/prefix, without / at its end",
        ),
    ]
    | None
)
OriginRole = (
    Annotated[
        str,
        Spelled(
            r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$",
            "is not the ARN of a role; write it as arn:aws:iam::123456789012:role/name",
        ),
    ]
    | None
)


_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_SHORTEST_WINDOW, _DAY = timedelta(minutes=15), timedelta(days=1)


class RequestSpec(BaseModel):
    """How exports are asked for, where AWS is not told elsewhere to make them. They are written to `from`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: Annotated[
        str, Spelled(r"^[1-9][0-9]{0,3}[mhd]$", "is no length of time; write a number and m, h or d, such as 24h")
    ] = Field(
        default="24h",
        description="How often. For DynamoDB the length of the incremental exports that follow the full one, from `15m` to `24h`; "
        "for Aurora at least `24h`, as automated snapshots are taken once a day.",
    )
    region: Annotated[str, Spelled(r"^[a-z]{2}(-[a-z]+)+-[0-9]$", "is no region of AWS; write it as eu-central-1")] = (
        Field(description="Region of AWS in which the tables or the cluster are.")
    )
    account: (
        Annotated[str, Spelled(r"^[0-9]{12}$", "is no account of AWS; write its twelve digits in quotes")] | None
    ) = Field(default=None, description="DynamoDB only: the account that the tables are in.")
    view: Literal["NEW_AND_OLD_IMAGES", "NEW_IMAGE"] = Field(
        default="NEW_AND_OLD_IMAGES",
        description="DynamoDB only: whether incremental exports tell what items were before, too, by which faults are found.",
    )
    cluster: (
        Annotated[
            str, Spelled(r"^[A-Za-z](-?[A-Za-z0-9])*$", "is no identifier of a cluster; write it as shop-production")
        ]
        | None
    ) = Field(
        default=None,
        description="Aurora only: identifier of the cluster whose newest automated snapshot is exported.",
    )
    export_role: OriginRole = Field(
        default=None, description="Aurora only: ARN of the role by which AWS itself writes the export to S3."
    )
    kms_key: str | None = Field(
        default=None,
        min_length=1,
        description="The KMS key that exports are encrypted with, by id or ARN. Aurora needs one; DynamoDB's are else encrypted "
        "with S3's own.",
    )
    role: OriginRole = Field(
        default=None,
        description="ARN of the AWS role that asks, assumed by Google's word for this process; by default that of `from_role`.",
    )

    @property
    def interval(self) -> timedelta:
        return timedelta(**{_UNITS[self.every[-1]]: int(self.every[:-1])})

    def fault(self, export_format: ExportFormat) -> str | None:
        """What keeps exports of this format from being asked for like this; None where nothing does."""
        aurora = export_format == "aurora_snapshot"
        needed = ("cluster", "export_role", "kms_key") if aurora else ("account",)
        for field in needed:
            if getattr(self, field) is None:
                return f"{field}: exports of format {export_format} are not asked for without it; add it"
        for field in ("account", "view") if aurora else ("cluster", "export_role"):
            if field in self.model_fields_set and getattr(self, field) is not None:
                return f"{field}: exports of format {export_format} have none; remove the field"
        if aurora and self.interval < _DAY:
            return f"every: {self.every} is too short, as automated snapshots are taken once a day; write 24h, or longer as 7d"
        if not aurora and not _SHORTEST_WINDOW <= self.interval <= _DAY:
            return f"every: AWS takes no {self.every} for an incremental export; write from 15m to 24h"
        return None


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
    expectations: Expectations = Field(
        default=Expectations(),
        description="Where this table differs from the source's `expectations`: those keys alone.",
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
        description="How AWS wrote the exports: `aurora_snapshot` (snapshot export to S3, Parquet) or `dynamodb` (table exports "
        "to S3, DynamoDB JSON, full ones and incremental ones after them; `dynamodb_full` is the same).",
        json_schema_extra={"enum": [*get_args(ExportFormat), _ALIAS]},
    )
    path: str = Field(
        description="Folder of the exports below the exports root, as `shop`: for Aurora the one with a "
        "folder an export, for DynamoDB the export prefix that holds `AWSDynamoDB/`."
    )
    origin: Origin = Field(
        default=None,
        alias="from",
        description="Where AWS writes the exports, if not below the exports root: `s3://bucket/prefix`, for DynamoDB the export "
        "prefix. What lies there is brought to `path` before it is loaded, each object once.",
    )
    from_role: OriginRole = Field(
        default=None,
        description="ARN of the AWS role that reads `from`, which this process assumes by Google's word for it, without a key. By "
        "default AWS's own ways of finding an identity are gone through.",
    )
    request: RequestSpec | None = Field(
        default=None,
        description="By which AWS is asked for the exports that it writes to `from`. By default somebody else sees to it that "
        "there are some.",
    )
    database: str | None = Field(
        default=None, min_length=1, description="Aurora only: the database whose tables are read."
    )
    tables: list[ExportTableSpec] = Field(min_length=1, description="The tables to load; all others are left alone.")
    expectations: Expectations = Field(
        default=Expectations(), description="How far a table may differ from the export before it."
    )
    accept: list[Accepted] = Field(
        default=[],
        description="Exports whose difference from those before is meant: a column that was dropped, rows that were deleted. "
        "Marts are built from them, and exports after them are compared with them.",
    )

    @field_validator("format", mode="before")
    @classmethod
    def _alias(cls, value: object) -> object:
        return "dynamodb" if value == _ALIAS else value

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
        names = [table.name for table in self.tables]
        accepted = [(each.export, each.table) for each in self.accept]
        for export, name in accepted:
            if name not in names:
                raise ValueError(f"accept: there is no table {name!r}; tables: {', '.join(names)}")
            if accepted.count((export, name)) > 1:
                raise ValueError(f"accept: export {export}, table {name} is given more than once")
        if self.from_role is not None and self.origin is None:
            raise ValueError("from_role: there is no `from` that it would read; add it, or remove the field")
        if self.request is not None:
            if self.origin is None:
                raise ValueError("request: AWS writes the exports it is asked for to S3; say where in `from`")
            if fault := self.request.fault(self.format):
                raise ValueError(f"request: {fault}")
        for table in self.tables:
            if holds_quarantine(table.name):
                raise ValueError(
                    f"tables: name {table.name!r} ends as the tables of quarantined rows do; write another one"
                )
        if self.format == "aurora_snapshot":
            if self.database is None:
                raise ValueError("database: an aurora_snapshot source names its database")
            for table in self.tables:
                if table.export_table.count(".") != 1:
                    raise ValueError(f"tables: export_table {table.export_table!r} is not of the form schema.table")
            return self
        if self.database is not None:
            raise ValueError("database: a dynamodb source has none; remove the field")
        for table in self.tables:
            if holds_changes(table.name):
                raise ValueError(
                    f"tables: name {table.name!r} ends as the raw tables of incremental exports do; write another one"
                )
        return self

    def table(self, name: str) -> ExportTableSpec:
        """A declared table. Raises KeyError when there is none of that name."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)

    def expectations_of(self, name: str) -> Expectations:
        """The source's expectations, and over them what the table says itself."""
        own = self.table(name).expectations
        return self.expectations.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})

    def accepts(self, export_id: str, name: str) -> str | None:
        """Why an export's table is meant to differ; None where nobody said so."""
        reasons = (each.because for each in self.accept if (each.export, each.table) == (export_id, name))
        return next(reasons, None)
