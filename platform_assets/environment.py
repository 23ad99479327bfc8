"""Where the platform runs and what it loads, read from environment variables here and nowhere else.

Belongs here: the variables, their defaults, the places derived from them, and the scope of definitions to load.
Does not belong here: anything that opens a file or a connection.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent

VARIABLES = {
    "PLATFORM_ENV": "where the platform runs: `local` (DuckDB and a folder, the default), `gcp` (BigQuery and GCS), or "
    "`emulated` (as gcp, on emulators of both)",
    "PLATFORM_DATA": "folder that holds everything the platform writes locally (default: .data in the repository)",
    "PLATFORM_EXPORTS": "folder or gs:// URL with the AWS exports as AWS wrote them (default: lake/exports in "
    "PLATFORM_DATA, or in the bucket)",
    "PLATFORM_TEACHERS": "folder or gs:// URL with teacher files (default: lake/teachers in PLATFORM_DATA, or in the bucket)",
    "PLATFORM_CAMPAIGNS_DIR": "folder with <campaign>/defs.yaml (default: platform_assets/defs/campaigns)",
    "PLATFORM_SOURCES_DIR": "folder with <source>/defs.yaml (default: platform_assets/defs/sources)",
    "PLATFORM_DBT_PROJECT": "the dbt project (default: dbt_project in the repository)",
    "PLATFORM_TIMEZONE": "time zone of business dates, an IANA name (default: UTC)",
    "PLATFORM_FIRST_DATE": "first as-of date that can be asked for (default: 1997-01-01)",
    "PLATFORM_SCOPE": "definitions to load: `all` (default), `campaign:<name>[,<name>…]` for these and what all "
    "share, `shared` for that alone, `only:<name>` for that campaign and nothing shared; pods get it by themselves",
    "PLATFORM_EXECUTOR": "how a run's steps are executed: `in_process` (default), or `kubernetes`, a pod each",
    "PLATFORM_PROFILES": "file with the resource profiles of pods (default: platform_assets/foundation/execution/profiles.yaml)",
    "PLATFORM_SCORING_SHARDS": "into how many steps the scoring of an entity is split (default: 1)",
    "PLATFORM_COMMIT": "git commit that this code is of, 40 hex digits; images bear it. A campaign pinned to another "
    "commit is not defined",
    "PLATFORM_METRICS_PORT": "port on which a step that has a GPU serves its use to Prometheus (default: none)",
    "PLATFORM_TENSORBOARD_URL": "where TensorBoard is served, such as http://localhost:6006 as by `make tensorboard`; steps that "
    "fit a model then link to it (default: they name the folder)",
    "PLATFORM_STRICT": "1: a broken campaign file stops the load; 0 (default): it shows as a failed check",
    "PLATFORM_PROJECT": "Google Cloud project of datasets and bucket; needed beyond `local`",
    "PLATFORM_STAGE": "`dev` (default), `staging` or `prod`: begins the name of every dataset and ends the bucket's",
    "PLATFORM_LOCATION": "location of datasets and bucket, such as EU or europe-west3 (default: US)",
    "PLATFORM_BUCKET": "bucket of lake, artifacts and audiences (default: <project>-audiences-<stage>)",
    "PLATFORM_MAX_BYTES_BILLED": "bytes one query may be billed for; a dearer one is refused before it runs "
    "(default: 107374182400, 100 GiB)",
    "PLATFORM_RAW_EXPIRY_DAYS": "days after its export instant when a raw row expires in BigQuery (default: never). "
    "Slowly changing dimensions are rebuilt from all exports: what expires is no longer in them",
    "PLATFORM_POLICY_TAGS": "`class=resource` pairs, comma-separated: the policy tag of each class of columns that the "
    "dbt project declares, as personal=projects/…/taxonomies/…/policyTags/…",
    "PLATFORM_BIGQUERY_STORAGE_HOST": "`emulated` only: host:port of the emulator's Storage Read API (gRPC)",
}
# The Google clients read these two themselves, so they may not point anywhere by accident.
EMULATOR_VARIABLES = {
    "BIGQUERY_EMULATOR_HOST": "BigQuery emulator, such as http://127.0.0.1:9050",
    "STORAGE_EMULATOR_HOST": "GCS emulator, such as http://127.0.0.1:4443",
}
CLOUD_ONLY = (
    "PLATFORM_PROJECT",
    "PLATFORM_STAGE",
    "PLATFORM_LOCATION",
    "PLATFORM_BUCKET",
    "PLATFORM_MAX_BYTES_BILLED",
    "PLATFORM_RAW_EXPIRY_DAYS",
    "PLATFORM_POLICY_TAGS",
)
STAGES = ("dev", "staging", "prod")
EXECUTORS = ("in_process", "kubernetes")
DEFAULT_MAX_BYTES_BILLED = 100 * 1024**3
Place = Path | str


class EnvironmentVariableError(ValueError):
    """An environment variable holds something the platform cannot work with; the message names it."""


@dataclass(frozen=True)
class Scope:
    """Which campaigns a process defines (None: all), and whether also what they share: sources, marts, their upkeep."""

    campaigns: frozenset[str] | None = None
    shared: bool = True

    @property
    def text(self) -> str:
        """It as a value of PLATFORM_SCOPE."""
        if self.campaigns is None:
            return "all"
        kind = "campaign" if self.shared else "only"
        return f"{kind}:{','.join(sorted(self.campaigns))}" if self.campaigns else "shared"

    def admits(self, campaign: str) -> bool:
        return self.campaigns is None or campaign in self.campaigns


@dataclass(frozen=True)
class Cloud:
    """Where in Google Cloud the platform keeps things, or in the emulators that stand in for it.

    Attributes:
        stage: dev, staging or prod; two stages share nothing.
        location: of datasets and bucket.
        max_bytes_billed: what one query may cost, in bytes scanned.
        raw_expiry_days: how long after its export instant a raw row is kept; None: for ever.
        policy_tags: (class of columns, resource name of its policy tag).
        bigquery_endpoint, bigquery_storage_endpoint: the emulator's REST URL and gRPC host:port; None: Google's own.
    """

    project: str
    bucket: str
    stage: str = "dev"
    location: str = "US"
    max_bytes_billed: int = DEFAULT_MAX_BYTES_BILLED
    raw_expiry_days: int | None = None
    policy_tags: tuple[tuple[str, str], ...] = ()
    bigquery_endpoint: str | None = None
    bigquery_storage_endpoint: str | None = None

    def dataset(self, purpose: str) -> str:
        """The dataset of one purpose: raw, staging, build, marts, scratch or audiences."""
        return f"{self.stage}_{purpose}"

    def place(self, folder: str) -> str:
        """The URL of a folder of the bucket."""
        return f"gs://{self.bucket}/{folder}"


@dataclass(frozen=True)
class Environment:
    """Everything that differs between two places the platform runs in.

    A `Place` is a local folder or a gs:// URL; with `cloud` set, all that outlives a step lies in the cloud, and `data`
    holds only what a step needs while it runs.
    """

    data: Path
    exports: Place
    teachers: Place
    campaigns: Path
    sources: Path
    dbt_project: Path
    timezone: str = "UTC"
    first_date: date = date(1997, 1, 1)
    scope: Scope = Scope()
    strict: bool = False
    name: str = "local"
    cloud: Cloud | None = None
    executor: str = "in_process"
    profiles: Path = PACKAGE / "foundation" / "execution" / "profiles.yaml"
    scoring_shards: int = 1
    commit: str | None = None
    metrics_port: int | None = None
    tensorboard_url: str | None = None

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def marts(self) -> Place:
        return self._place("marts")

    @property
    def artifacts(self) -> Place:
        return self._place("artifacts")

    @property
    def audiences(self) -> Place:
        return self._place("audiences")

    @property
    def verdicts(self) -> Place:
        return self._place("verdicts")

    @property
    def tensorboard(self) -> Place:
        return self._place("tensorboard")

    @property
    def refs(self) -> Place:
        return self._place("refs")

    @property
    def dbt_database(self) -> Path:
        return self.data / "warehouse" / "dbt.duckdb"

    @property
    def dbt_manifest(self) -> Path:
        return self.dbt_project / "target" / "manifest.json"

    def _place(self, folder: str) -> Place:
        return self.cloud.place(folder) if self.cloud else self.data / folder


def local_environment(data: Path, **overrides: object) -> Environment:
    """The embedded platform below one folder; `overrides` replace single fields."""
    places: dict[str, object] = {
        "data": data,
        "exports": data / "lake" / "exports",
        "teachers": data / "lake" / "teachers",
        "campaigns": PACKAGE / "defs" / "campaigns",
        "sources": PACKAGE / "defs" / "sources",
        "dbt_project": REPOSITORY / "dbt_project",
    }
    return Environment(**(places | overrides))  # type: ignore[arg-type]


def cloud_environment(name: str, cloud: Cloud, data: Path, **overrides: object) -> Environment:
    """The platform in Google Cloud (`gcp`) or on emulators (`emulated`); `overrides` replace single fields."""
    places: dict[str, object] = {"exports": cloud.place("lake/exports"), "teachers": cloud.place("lake/teachers")}
    return local_environment(data, **{**places, "name": name, "cloud": cloud, **overrides})


def environment_from_variables(variables: Mapping[str, str] | None = None) -> Environment:
    """The environment that `variables` (default: the process's) describe.

    Raises:
        EnvironmentVariableError: a variable is unknown or its value is not usable; names it and what it takes.
    """
    values = os.environ if variables is None else variables
    for name in values:
        if name.startswith("PLATFORM_") and name not in VARIABLES:
            raise EnvironmentVariableError(
                f"{name} is not a variable of this platform; it knows {', '.join(VARIABLES)}"
            )
    given = {name: values[name] for name in (*VARIABLES, *EMULATOR_VARIABLES) if values.get(name)}
    where = given.get("PLATFORM_ENV", "local")
    overrides: dict[str, object] = {
        field: Path(given[name]).expanduser().resolve()
        for name, field in (
            ("PLATFORM_CAMPAIGNS_DIR", "campaigns"),
            ("PLATFORM_SOURCES_DIR", "sources"),
            ("PLATFORM_DBT_PROJECT", "dbt_project"),
            ("PLATFORM_PROFILES", "profiles"),
        )
        if name in given
    }
    overrides |= {
        field: _place(given[name])
        for name, field in (("PLATFORM_EXPORTS", "exports"), ("PLATFORM_TEACHERS", "teachers"))
        if name in given
    }
    if "PLATFORM_TIMEZONE" in given:
        overrides["timezone"] = _timezone(given["PLATFORM_TIMEZONE"])
    if "PLATFORM_FIRST_DATE" in given:
        overrides["first_date"] = _date(given["PLATFORM_FIRST_DATE"])
    overrides["scope"] = _scope(given.get("PLATFORM_SCOPE", "all"))
    overrides["strict"] = _switch(given.get("PLATFORM_STRICT", "0"))
    overrides["executor"] = given.get("PLATFORM_EXECUTOR", "in_process")
    if overrides["executor"] not in EXECUTORS:
        raise EnvironmentVariableError(
            f"PLATFORM_EXECUTOR={given['PLATFORM_EXECUTOR']}: takes {' or '.join(EXECUTORS)}"
        )
    overrides["scoring_shards"] = _count(given, "PLATFORM_SCORING_SHARDS") or 1
    overrides["metrics_port"] = _count(given, "PLATFORM_METRICS_PORT")
    if "PLATFORM_TENSORBOARD_URL" in given:
        overrides["tensorboard_url"] = _matching(
            given, "PLATFORM_TENSORBOARD_URL", r"https?://[^\s]+", "http://localhost:6006"
        )
    if "PLATFORM_COMMIT" in given:
        overrides["commit"] = _matching(given, "PLATFORM_COMMIT", r"[0-9a-f]{40}", "the output of git rev-parse HEAD")
    data = Path(given.get("PLATFORM_DATA", REPOSITORY / ".data")).expanduser().resolve()
    if where == "local":
        _refuse(given, (*CLOUD_ONLY, "PLATFORM_BIGQUERY_STORAGE_HOST"), "unset it, or set PLATFORM_ENV=gcp")
        return local_environment(data, **overrides)
    if where not in ("emulated", "gcp"):
        raise EnvironmentVariableError(f"PLATFORM_ENV={where}: takes local, emulated or gcp")
    return cloud_environment(where, _cloud(where, given), data, **overrides)


def _cloud(where: str, given: Mapping[str, str]) -> Cloud:
    project = _matching(given, "PLATFORM_PROJECT", r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", "my-project")
    stage = given.get("PLATFORM_STAGE", "dev")
    if stage not in STAGES:
        raise EnvironmentVariableError(f"PLATFORM_STAGE={stage}: takes {', '.join(STAGES)}")
    endpoints: dict[str, str] = {}
    emulated = ("BIGQUERY_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "PLATFORM_BIGQUERY_STORAGE_HOST")
    if where == "gcp":
        _refuse(given, emulated, "it would lead real work to an emulator; unset it, or set PLATFORM_ENV=emulated")
    else:
        for name in emulated[:2]:
            _matching(given, name, r"https?://[^/\s]+", EMULATOR_VARIABLES[name])
        endpoints = {
            "bigquery_endpoint": given["BIGQUERY_EMULATOR_HOST"],
            "bigquery_storage_endpoint": _matching(given, emulated[2], r"[^/\s:]+:\d+", "127.0.0.1:9060"),
        }
    default_bucket = f"{project.replace(':', '-')}-audiences-{stage}"
    return Cloud(
        project=project,
        bucket=_matching(
            {"PLATFORM_BUCKET": default_bucket} | dict(given),
            "PLATFORM_BUCKET",
            r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]",
            "my-bucket",
        ),
        stage=stage,
        location=_matching({"PLATFORM_LOCATION": "US"} | dict(given), "PLATFORM_LOCATION", r"[A-Za-z0-9-]+", "EU"),
        max_bytes_billed=_count(given, "PLATFORM_MAX_BYTES_BILLED") or DEFAULT_MAX_BYTES_BILLED,
        raw_expiry_days=_count(given, "PLATFORM_RAW_EXPIRY_DAYS"),
        policy_tags=_policy_tags(given.get("PLATFORM_POLICY_TAGS", "")),
        **endpoints,
    )


def _refuse(given: Mapping[str, str], names: tuple[str, ...], remedy: str) -> None:
    for name in names:
        if name in given:
            raise EnvironmentVariableError(
                f"{name} is set, but means nothing with PLATFORM_ENV={given.get('PLATFORM_ENV', 'local')}: {remedy}"
            )


def _matching(given: Mapping[str, str], name: str, pattern: str, example: str) -> str:
    text = given.get(name)
    if text is None:
        raise EnvironmentVariableError(f"{name} is not set; PLATFORM_ENV={given['PLATFORM_ENV']} needs it ({example})")
    if not re.fullmatch(pattern, text):
        raise EnvironmentVariableError(f"{name}={text}: cannot be used; an example: {example}")
    return text


def _count(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is not None and (not text.isdecimal() or int(text) == 0):
        raise EnvironmentVariableError(f"{name}={text}: takes a whole number above 0")
    return None if text is None else int(text)


def _policy_tags(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        tag, _, resource = entry.partition("=")
        if not re.fullmatch(r"[a-z][a-z0-9_]*", tag) or not re.fullmatch(
            r"projects/[^/]+/locations/[^/]+/taxonomies/\d+/policyTags/\d+", resource
        ):
            raise EnvironmentVariableError(
                f"PLATFORM_POLICY_TAGS: {entry!r} is not class=projects/…/locations/…/taxonomies/<number>/policyTags/<number>"
            )
        pairs.append((tag, resource))
    return tuple(pairs)


def _place(text: str) -> Place:
    return text.rstrip("/") if "://" in text else Path(text).expanduser().resolve()


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: a folder of zones, such as Europe
        raise EnvironmentVariableError(
            f"PLATFORM_TIMEZONE={text}: not an IANA time zone such as Europe/Berlin"
        ) from error
    return text


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise EnvironmentVariableError(f"PLATFORM_FIRST_DATE={text}: not a date such as 2024-01-31") from error


def _scope(text: str) -> Scope:
    kind, _, names = text.partition(":")
    if text == "all":
        return Scope()
    if text == "shared":
        return Scope(frozenset())
    if kind in ("campaign", "only") and all(names.split(",")):
        return Scope(frozenset(names.split(",")), shared=kind == "campaign")
    raise EnvironmentVariableError(
        f"PLATFORM_SCOPE={text}: takes `all`, `shared`, `campaign:<name>[,<name>…]` or `only:<name>`"
    )


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise EnvironmentVariableError(f"PLATFORM_STRICT={text}: takes 0 or 1")
    return text == "1"
