"""Where the platform runs and what it loads.

Each variable is declared once, on the field that it sets: pydantic reads its text by the field's type. Not by
pydantic-settings, which takes 118 CPU-ms more to import (pydantic is there anyway) and ignores unknown variables.
Belongs here: the variables, their defaults, and the places derived from them. Does not belong here: anything that opens a
file or a connection.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import PositiveInt

from platform_assets.environment.forms import (
    COUNT,
    EVERYTHING,
    AbsolutePath,
    AnyPlace,
    Bucket,
    CodeUrl,
    Commit,
    DataPath,
    Day,
    HostAndPort,
    PagesUrl,
    PageUrl,
    Place,
    PolicyTags,
    ProjectId,
    ScopeText,
    Switch,
    TimeZone,
    Url,
    Variable,
    like,
)
from platform_assets.environment.settings import PROJECT_VARIABLE, SETTINGS

PACKAGE = Path(__file__).resolve().parents[1]
REPOSITORY = PACKAGE.parent

DEFAULT_MAX_BYTES_BILLED = 100 * 1024**3
DEFAULT_PAGES_PORT = 3001

STRIPE_KEY = "STRIPE_API_KEY"
# Read when they are used: no settings file states them, and no Environment, which is shown, holds them.
SECRETS = {
    STRIPE_KEY: "restricted, read-only API key of Stripe, for sources that name no other variable in `key_variable` and no "
    "`key_file`"
}


@dataclass(frozen=True)
class Cloud:
    """Where in Google Cloud the platform keeps things, or in the emulators that stand in for it.

    Two stages share nothing. `policy_tags` are (class of columns, resource name of its policy tag). The endpoints are the
    emulators'; None: Google's own.
    """

    # A line names the variable and what it takes, the next say what it means.
    # fmt: off
    project: Annotated[ProjectId, Variable("PLATFORM_PROJECT", "a project's id such as my-project",
        "Google Cloud project of datasets and bucket; needed beyond `local`")]
    bucket: Annotated[Bucket, Variable("PLATFORM_BUCKET", "a bucket's name such as my-bucket",
        "bucket of lake, artifacts and audiences, personal data all of it (default: <project>-audiences-<stage>)")]
    stage: Annotated[Literal["dev", "staging", "prod"], Variable("PLATFORM_STAGE", "dev, staging or prod",
        "`dev` (default), `staging` or `prod`: begins the name of every dataset and ends the bucket's")] = "dev"
    location: Annotated[str, like("[A-Za-z0-9-]+"), Variable("PLATFORM_LOCATION", "a location such as EU",
        "location of datasets and bucket, such as EU or europe-west3 (default: US)")] = "US"
    max_bytes_billed: Annotated[PositiveInt, Variable("PLATFORM_MAX_BYTES_BILLED", COUNT,
        "bytes one query may be billed for; a dearer one is refused before it runs (default: "
        "107374182400, 100 GiB)")] = DEFAULT_MAX_BYTES_BILLED
    raw_expiry_days: Annotated[PositiveInt | None, Variable("PLATFORM_RAW_EXPIRY_DAYS", COUNT,
        "days after its export instant when a raw row expires in BigQuery (default: never). Slowly changing "
        "dimensions are rebuilt from all exports: what expires is no longer in them")] = None
    policy_tags: Annotated[PolicyTags, Variable("PLATFORM_POLICY_TAGS",
        "class=projects/…/locations/…/taxonomies/<number>/policyTags/<number>, comma-separated",
        "`class=resource` pairs, comma-separated: the policy tag of each class of columns that the dbt project "
        "declares, as personal=projects/…/taxonomies/…/policyTags/…")] = ()
    bigquery_storage_endpoint: Annotated[HostAndPort | None, Variable("PLATFORM_BIGQUERY_STORAGE_HOST", "host:port such as 127.0.0.1:9060",
        "`emulated` only: host:port of the emulator's Storage Read API (gRPC)")] = None
    # The Google clients read these two themselves, so they may not point anywhere by accident.
    bigquery_endpoint: Annotated[Url | None, Variable("BIGQUERY_EMULATOR_HOST", "a URL such as http://127.0.0.1:9050",
        "`emulated` only: the BigQuery emulator")] = None
    storage_endpoint: Annotated[Url | None, Variable("STORAGE_EMULATOR_HOST", "a URL such as http://127.0.0.1:4443",
        "`emulated` only: the GCS emulator")] = None
    reports_bucket: Annotated[Bucket | None, Variable("PLATFORM_REPORTS_BUCKET", "a bucket's name such as my-bucket-reports",
        "bucket of what people may look at: reports, model cards, data docs, curves (default: <PLATFORM_BUCKET>-reports). "
        "The same as PLATFORM_BUCKET: whoever may look at them sees raw exports and audiences too")] = None
    # fmt: on

    def dataset(self, purpose: str) -> str:
        """The dataset of one purpose: raw, staging, build, marts, scratch or audiences."""
        return f"{self.stage}_{purpose}"

    @property
    def open_bucket(self) -> str:
        """The bucket of what people may look at, which holds no person: rights on a bucket are the only ones that limit listing."""
        return self.reports_bucket or f"{self.bucket}-reports"

    def place(self, folder: str) -> str:
        """The URL of a folder of the bucket."""
        return f"gs://{self.bucket}/{folder}"

    def open_place(self, folder: str) -> str:
        """The URL of a folder of the bucket of what people may look at."""
        return f"gs://{self.open_bucket}/{folder}"


@dataclass(frozen=True)
class Limits:
    """How much of a file from elsewhere is taken in: more is refused before it fills memory or disk."""

    # fmt: off
    file_bytes: Annotated[PositiveInt, Variable("PLATFORM_MAX_FILE_BYTES", COUNT,
        "bytes that one data file of an export may hold once decompressed (default: 274877906944, 256 GiB)")] = 256 * 1024**3
    file_rows: Annotated[PositiveInt, Variable("PLATFORM_MAX_FILE_ROWS", COUNT,
        "rows that one data file of an export may hold (default: 1000000000)")] = 1_000_000_000
    columns: Annotated[PositiveInt, Variable("PLATFORM_MAX_COLUMNS", COUNT,
        "columns that a table of an export, or a teacher file, may have (default: 5000)")] = 5_000
    teacher_rows: Annotated[PositiveInt, Variable("PLATFORM_MAX_TEACHER_ROWS", COUNT,
        "rows that a teacher file may have; it is worked on in memory (default: 10000000)")] = 10_000_000
    teacher_bytes: Annotated[PositiveInt, Variable("PLATFORM_MAX_TEACHER_BYTES", COUNT,
        "bytes of text that the three columns of a teacher file may hold (default: 2147483648, 2 GiB)")] = 2 * 1024**3
    # fmt: on


@dataclass(frozen=True)
class Environment:
    """Everything that differs between two places the platform runs in.

    A `Place` is a local folder or a gs:// URL; with `cloud` set, all that outlives a step lies in the cloud, and `data`
    holds only what a step needs while it runs. `project` is the folder of the project in use, with its `features/`.
    """

    # fmt: off
    project: Annotated[AbsolutePath, Variable(PROJECT_VARIABLE, f"a folder that holds {SETTINGS}",
        f"folder of the project: what people declare, and its dbt project (default: the current folder or the nearest above it "
        f"that holds {SETTINGS}, else the checkout that the platform runs from)")]
    data: Annotated[DataPath, Variable("PLATFORM_DATA", "a path without ? and #, at which dbt would cut it off",
        "folder that holds everything the platform writes locally (default: .data in the project)")]
    exports: Annotated[AnyPlace, Variable("PLATFORM_EXPORTS", "a path",
        "folder or gs:// URL with the AWS exports as AWS wrote them (default: lake/exports in PLATFORM_DATA, or in the "
        "bucket)")]
    teachers: Annotated[AnyPlace, Variable("PLATFORM_TEACHERS", "a path",
        "folder or gs:// URL with teacher files (default: lake/teachers in PLATFORM_DATA, or in the bucket)")]
    campaigns: Annotated[AbsolutePath, Variable("PLATFORM_CAMPAIGNS_DIR", "a path",
        "folder with <campaign>/defs.yaml (default: defs/campaigns in the project)")]
    sources: Annotated[AbsolutePath, Variable("PLATFORM_SOURCES_DIR", "a path",
        "folder with <source>/defs.yaml (default: defs/sources in the project)")]
    dbt_project: Annotated[AbsolutePath, Variable("PLATFORM_DBT_PROJECT", "a path",
        "the dbt project (default: dbt_project in the project)")]
    timezone: Annotated[TimeZone, Variable("PLATFORM_TIMEZONE", "an IANA time zone such as Europe/Berlin",
        "time zone of business dates, an IANA name (default: UTC)")] = "UTC"
    first_date: Annotated[Day, Variable("PLATFORM_FIRST_DATE", "a date such as 2024-01-31",
        "first as-of date that can be asked for (default: 1997-01-01)")] = date(1997, 1, 1)
    scope: Annotated[ScopeText, Variable("PLATFORM_SCOPE", "`all`, `shared`, `campaign:<name>[,<name>…]` or `only:<name>`",
        "definitions to load: `all` (default), `campaign:<name>[,<name>…]` for these and what all share, "
        "`shared` for that alone, `only:<name>` for that campaign and nothing shared; pods get it by themselves")] = EVERYTHING
    strict: Annotated[Switch, Variable("PLATFORM_STRICT", "0 or 1",
        "1: a broken campaign or source file stops the load; 0 (default): it shows as a failed check")] = False
    name: Annotated[Literal["local", "emulated", "gcp"], Variable("PLATFORM_ENV", "local, emulated or gcp",
        "where the platform runs: `local` (DuckDB and a folder, the default), `gcp` (BigQuery and GCS), or "
        "`emulated` (as gcp, on emulators of both)")] = "local"
    cloud: Cloud | None = None
    limits: Limits = Limits()
    executor: Annotated[Literal["in_process", "kubernetes"], Variable("PLATFORM_EXECUTOR", "in_process or kubernetes",
        "how a run's steps are executed: `in_process` (default), or `kubernetes`, a pod each")] = "in_process"
    profiles: Annotated[AbsolutePath, Variable("PLATFORM_PROFILES", "a path",
        "file with the resource profiles of pods (default: "
        "platform_assets/foundation/execution/profiles.yaml)")] = PACKAGE / "foundation" / "execution" / "profiles.yaml"
    scoring_shards: Annotated[PositiveInt, Variable("PLATFORM_SCORING_SHARDS", COUNT,
        "into how many steps the scoring of an entity is split (default: 1)")] = 1
    commit: Annotated[Commit | None, Variable("PLATFORM_COMMIT", "the output of git rev-parse HEAD",
        "git commit that this code is of, 40 hex digits; images bear it. A campaign pinned to another commit is "
        "not defined")] = None
    code_url: Annotated[CodeUrl | None, Variable("PLATFORM_CODE_URL", "a URL such as https://github.com/acme/audiences/blob/{commit}",
        "below which URL the project's files are shown, such as https://github.com/acme/audiences/blob/{commit}, where `{commit}` is "
        "PLATFORM_COMMIT: assets link to the files there that declare them (default, and where that commit is not known: to local files). An "
        "image of a project of one's own names its commit in the URL, since PLATFORM_COMMIT is the platform's")] = None
    run_commit: Annotated[Commit | None, Variable("PLATFORM_RUN_COMMIT", "the output of git rev-parse HEAD",
        "commit of the run that a step with an image of its own (CUDA) belongs to; pods get it by themselves")] = None
    metrics_port: Annotated[PositiveInt | None, Variable("PLATFORM_METRICS_PORT", COUNT,
        "port on which a step that has a GPU serves its use to Prometheus (default: none)")] = None
    schedules: Annotated[Switch | None, Variable("PLATFORM_SCHEDULES", "0 or 1",
        "1: schedules and the sensor on new exports run without anybody turning them on in Dagster's UI; 0: they are off until "
        "somebody does (default: 1 with PLATFORM_ENV=gcp, else 0). What was turned on or off in the UI stays so")] = None
    tensorboard_url: Annotated[PageUrl | None, Variable("PLATFORM_TENSORBOARD_URL", "a URL such as http://localhost:6006",
        "where TensorBoard is served, such as http://localhost:6006 as by `make tensorboard`; steps that fit a "
        "model then link to it (default: they name the folder)")] = None
    pages_url: Annotated[PagesUrl | None, Variable("PLATFORM_PAGES_URL", "a URL such as http://127.0.0.1:3001",
        "where `platform-assets pages` is reached, such as https://dagster.example.com/pages; assets link to reports, model "
        "cards and data docs there (default: http://127.0.0.1:3001 with PLATFORM_ENV=local, as `make ui` serves them; else "
        "links lead to the bucket)")] = None
    # fmt: on

    @property
    def starts_by_itself(self) -> bool:
        """Whether schedules and sensors run unless somebody turns them off."""
        return self.name == "gcp" if self.schedules is None else self.schedules

    @property
    def code_at_commit(self) -> str | None:
        """The URL below which the project's files are shown; None where none is stated, or the commit in it is not known."""
        if self.code_url is None or ("{commit}" in self.code_url and self.commit is None):
            return None
        return self.code_url.replace("{commit}", self.commit or "").rstrip("/")

    @property
    def features(self) -> Path:
        """What the project declares of features, a file an entity."""
        return self.project / "features"

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
    def comparisons(self) -> Place:
        return self._place("comparisons")

    @property
    def looks(self) -> Place:
        """What was read of exports when they were looked at; made again when it is lost."""
        return self._place("looks")

    @property
    def reports(self) -> Place:
        """Reports and model cards; in the folder of the audiences that they are about, where one bucket holds both."""
        return self._open_place("audiences")

    @property
    def data_docs(self) -> Place:
        """Audits as pages; in the folder of their verdicts, where one bucket holds both."""
        return self._open_place("verdicts")

    @property
    def tensorboard(self) -> Place:
        return self._open_place("tensorboard")

    @property
    def refs(self) -> Place:
        return self._place("refs")

    def page_url(self, shelf: Literal["reports", "audits"], name: str) -> str | None:
        """Where a file of `reports`, or of `data_docs` (the shelf `audits`), is served as a page; None where none is."""
        return f"{self.pages_url.rstrip('/')}/{shelf}/{name}" if self.pages_url else None

    @property
    def dbt_database(self) -> Path:
        return self.data / "warehouse" / "dbt.duckdb"

    @property
    def dbt_manifest(self) -> Path:
        return self.dbt_project / "target" / "manifest.json"

    def _place(self, folder: str) -> Place:
        return self.cloud.place(folder) if self.cloud else self.data / folder

    def _open_place(self, folder: str) -> Place:
        return self.cloud.open_place(folder) if self.cloud else self.data / folder


def local_environment(data: Path, project: Path = REPOSITORY, **overrides: object) -> Environment:
    """The embedded platform below one folder, for a project; `overrides` replace single fields."""
    places: dict[str, object] = {
        "project": project,
        "data": data,
        "exports": data / "lake" / "exports",
        "teachers": data / "lake" / "teachers",
        "campaigns": project / "defs" / "campaigns",
        "sources": project / "defs" / "sources",
        "dbt_project": project / "dbt_project",
        "pages_url": f"http://127.0.0.1:{DEFAULT_PAGES_PORT}",
    }
    return Environment(**(places | overrides))  # type: ignore[arg-type]


def cloud_environment(
    name: str, cloud: Cloud, data: Path, project: Path = REPOSITORY, **overrides: object
) -> Environment:
    """The platform in Google Cloud (`gcp`) or on emulators (`emulated`), for a project; `overrides` replace single fields."""
    places: dict[str, object] = {
        "exports": cloud.place("lake/exports"),
        "teachers": cloud.place("lake/teachers"),
        "pages_url": None,
    }
    return local_environment(data, project, **{**places, "name": name, "cloud": cloud, **overrides})
