"""What a person declares about a service whose API is fetched: the attributes of `defs/sources/<name>/defs.yaml`.

Belongs here: the fields, their meaning, what is refused in them, and the export source that the loads of it make up. Does not
belong here: asking the service.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from platform_assets.data.exports.spec import Accepted, Expectations, ExportSourceSpec, ExportTableSpec
from platform_assets.environment import STRIPE_KEY
from platform_assets.foundation.documents.sentences import Owner, Spelled

KEY = "id"
Kind = Literal[
    "charges",
    "coupons",
    "customers",
    "disputes",
    "invoices",
    "payment_intents",
    "prices",
    "products",
    "refunds",
    "subscriptions",
]
# Where an object is listed → what the API calls it. Only those whose changes the API tells as events.
OBJECTS: dict[Kind, str] = {
    "charges": "charge",
    "coupons": "coupon",
    "customers": "customer",
    "disputes": "dispute",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
    "prices": "price",
    "products": "product",
    "refunds": "refund",
    "subscriptions": "subscription",
}
# The key goes nowhere else.
_HOSTS = ("api.stripe.com",)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_Variable = Annotated[
    str,
    Spelled(
        r"^(?!PLATFORM_|DAGSTER_)[A-Z][A-Z0-9_]*$",
        f"is not the name of a variable for a key; write the name, not the key: {STRIPE_KEY}",
    ),
]
_Version = Annotated[
    str,
    Spelled(r"^\d{4}-\d\d-\d\d(\.[a-z]+)?$", "is not a version of Stripe's API; write it as 2026-10-28.endive"),
]


class SaasTableSpec(BaseModel):
    """One kind of object."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Kind = Field(description="The objects as the API lists them, which is the raw table's name too: `customers`.")
    expectations: Expectations = Field(
        default=Expectations(),
        description="Where this table differs from the source's `expectations`: those keys alone.",
    )


class SaasSourceSpec(BaseModel):
    """A service whose API is fetched, each load an export. Its name is that of the folder the YAML lies in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field(min_length=1, description="What the source holds and which account it comes from.")
    owner: Owner = Field(description="Who answers for the source: an e-mail address, or `team:name`.")
    service: Literal["stripe"] = Field(description="Whose API it is.")
    url: str = Field(
        default="https://api.stripe.com",
        description="Where the API is: `https://api.stripe.com`, or a server on this machine for trials.",
    )
    api_version: _Version = Field(
        description="The version of the API in which objects are asked for. With another one all objects are listed again."
    )
    key_file: Path | None = Field(
        default=None,
        description="The file that holds a restricted, read-only API key, as a mounted secret: an absolute path.",
    )
    key_variable: _Variable | None = Field(
        default=None,
        description=f"The environment variable that holds the key, instead of `key_file` (default without both: `{STRIPE_KEY}`).",
    )
    path: str = Field(description="Folder below the exports root into which the loads are written, as `stripe`.")
    every: Literal["hour", "day"] = Field(default="day", description="How often a load is made.")
    full_after_days: int = Field(
        default=7,
        ge=1,
        le=28,
        description="Days after which all objects are listed again; the loads between read again what events name. Stripe keeps "
        "events for 30 days.",
    )
    tables: list[SaasTableSpec] = Field(min_length=1, description="The kinds of objects to fetch.")
    expectations: Expectations = Field(
        default=Expectations(), description="How far a table may differ from the load before it."
    )
    accept: list[Accepted] = Field(
        default=[], description="Loads whose difference from those before is meant, as for exports."
    )

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError("is not a URL; write https://api.stripe.com") from error
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError("write scheme and host alone: https://api.stripe.com")
        if not (parts.scheme == "https" and host in _HOSTS) and not (
            parts.scheme in ("http", "https") and host in _LOOPBACK
        ):
            raise ValueError(
                f"the key is sent to https://{_HOSTS[0]} alone, or to a server on this machine (http://127.0.0.1:…)"
            )
        return url.rstrip("/")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.key_file is not None and self.key_variable is not None:
            raise ValueError("key_file, key_variable: the API key is in one place; remove one of them")
        if self.key_file is not None and not self.key_file.is_absolute():
            raise ValueError("key_file: write an absolute path")
        try:
            ExportSourceSpec(**self._as_exports())
        except ValidationError as error:
            first = error.errors()[0]
            where = "".join(f"{part}: " for part in first["loc"][:1])
            raise ValueError(where + first["msg"].removeprefix("Value error, ")) from error
        return self

    @property
    def variable(self) -> str | None:
        """The environment variable that holds the key; None where a file does."""
        return (self.key_variable or STRIPE_KEY) if self.key_file is None else None

    def exports(self) -> "SaasExportsSpec":
        """The export source that its loads make up."""
        return SaasExportsSpec(**self._as_exports(), saas=self)

    def _as_exports(self) -> dict[str, Any]:
        return {
            "description": self.description,
            "owner": self.owner,
            "format": "dynamodb",
            "path": self.path,
            "tables": [
                ExportTableSpec(name=table.name, export_table=table.name, key=[KEY], expectations=table.expectations)
                for table in self.tables
            ],
            "expectations": self.expectations,
            "accept": self.accept,
        }

    def asked(self) -> dict[str, Any]:
        """What a load depends on: one that asked otherwise is not gone on with."""
        return {"url": self.url, "apiVersion": self.api_version, "tables": sorted(table.name for table in self.tables)}


class SaasExportsSpec(ExportSourceSpec):
    """The loads of a service as a source of exports like any other.

    Attributes:
        saas: what was declared.
    """

    saas: SaasSourceSpec
