"""Teacher files: what can be trusted is read exactly, everything else is refused with file, column and count."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.campaigns.declaration.spec import CampaignSpec
from platform_assets.campaigns.registry.promoted import PromotedModels
from platform_assets.campaigns.registry.workspace import Workspace
from platform_assets.campaigns.training_sets.calendar import ImmatureLabel
from platform_assets.campaigns.training_sets.teacher import (
    NEGATIVES_PER_POSITIVE,
    TeacherError,
    TeacherRows,
    kept_teacher,
    opened_teacher,
)
from platform_assets.data.engines.duckdb.reading import DuckDBWarehouse
from platform_assets.environment import Limits
from platform_assets.foundation.artifacts import ArtifactStore
from tests.campaigns.worlds import Workshop, at, fans, labelled, viewers, write_teacher
from tests.data.features.conftest import CATALOG, GROUPS, INSTANT, SCHEMAS, START, WATERMARK, publish, rating, with_lag
from tests.data.small_catalog import typed
from tests.support.processes import run_python

Rows = list[dict[str, object]]
ROWS: Rows = [
    {"viewer_id": 2, "as_of": "1998-01-15T12:00:00Z", "label": 1},
    {"viewer_id": 1, "as_of": "1998-01-15T12:00:00Z", "label": 0},
    {"viewer_id": 1, "as_of": "1998-01-10T07:30:00+02:00", "label": 1},
]
SAMPLED = {"negatives": "sample_population"}


@pytest.fixture
def teachers(tmp_path: Path) -> Path:
    return tmp_path / "teachers"


def read_teacher(
    spec: CampaignSpec, warehouse: DuckDBWarehouse, teachers: Path, limits: Limits | None = None
) -> TeacherRows:
    """With a store of its own, so that nothing is found."""
    root, limits = teachers.parent / uuid4().hex, limits or Limits()
    return kept_teacher(spec, Workspace(warehouse, GROUPS, ArtifactStore(root), teachers, PromotedModels(root), limits))


def read(world: Workshop, teachers: Path, rows: Rows = ROWS, **label: object) -> TeacherRows:
    write_teacher(teachers, rows)
    return read_teacher(fans(label), world.warehouse, teachers)


def read_columns(world: Workshop, teachers: Path, as_of: pa.Array, label: Sequence[float] = (0, 1)) -> TeacherRows:
    """A Parquet file of viewers 1 and 2."""
    teachers.mkdir(exist_ok=True)
    pq.write_table(pa.table({"viewer_id": [1, 2], "as_of": as_of, "label": label}), teachers / "fans.parquet")
    return read_teacher(fans({"teacher": "fans.parquet"}), world.warehouse, teachers)


def refusal(
    world: Workshop, teachers: Path, rows: Rows, kind: type[ValueError] = TeacherError, /, **label: object
) -> str:
    with pytest.raises(kind) as caught:
        read(world, teachers, rows, **label)
    return str(caught.value)


def changed(row: int, **values: object) -> Rows:
    return [{**given, **values} if number == row else given for number, given in enumerate(ROWS)]


def test_a_file_is_read_as_instants_in_order_of_time_and_person(shared_cinema: Workshop, teachers: Path) -> None:
    found = read(shared_cinema, teachers)
    columns = [("viewer_id", pa.int64()), ("as_of", INSTANT), ("label", pa.int64())]
    assert found.table.schema == pa.schema(columns)
    noon, half_past = datetime(1998, 1, 15, 12, tzinfo=UTC), datetime(1998, 1, 10, 5, 30, tzinfo=UTC)
    assert [tuple(row.values()) for row in found.table.to_pylist()] == [(1, half_past, 1), (1, noon, 0), (2, noon, 1)]
    assert found.set_aside == 0


def test_csv_and_parquet_say_the_same(shared_cinema: Workshop, teachers: Path) -> None:
    from_csv = read(shared_cinema, teachers).table
    pq.write_table(from_csv, teachers / "fans.parquet")
    assert read_teacher(fans({"teacher": "fans.parquet"}), shared_cinema.warehouse, teachers).table.equals(from_csv)


def test_columns_may_stand_in_any_order_beside_others(shared_cinema: Workshop, teachers: Path) -> None:
    rows = [{"note": "x", **dict(reversed(row.items()))} for row in ROWS]
    assert read(shared_cinema, teachers, rows).table.equals(read(shared_cinema, teachers).table)


def test_a_date_is_its_midnight_where_the_business_is(shared_cinema: Workshop, teachers: Path) -> None:
    found = read(shared_cinema, teachers, changed(2, as_of="1998-01-10"))
    assert found.table["as_of"][0].as_py() == datetime(1998, 1, 10, 5, tzinfo=UTC)
    found = read_columns(shared_cinema, teachers, pa.array([date(1998, 1, 10), date(1998, 6, 1)]))
    midnights = [datetime(1998, 1, 10, 5, tzinfo=UTC), datetime(1998, 6, 1, 4, tzinfo=UTC)]
    assert found.table["as_of"].to_pylist() == midnights


def test_a_time_without_its_zone_is_refused(shared_cinema: Workshop, teachers: Path) -> None:
    said = refusal(shared_cinema, teachers, changed(2, as_of="1998-01-10 07:30:00"))
    assert "fans.csv:4: as_of has no time zone in 1 rows" in said
    with pytest.raises(TeacherError, match="as_of has no time zone in 2 rows"):
        read_columns(shared_cinema, teachers, pa.array([datetime(1998, 1, 10), datetime(1998, 1, 11)]))


@pytest.mark.parametrize("column", ["viewer_id", "as_of", "label"])
def test_a_missing_column_is_named(shared_cinema: Workshop, teachers: Path, column: str) -> None:
    rows = [{name: value for name, value in row.items() if name != column} for row in ROWS]
    said = refusal(shared_cinema, teachers, rows)
    assert f"fans.csv: has no column {column}; it needs viewer_id, as_of, label and has" in said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"as_of": "soon"}, "fans.csv:3: as_of is empty or unreadable in 1 rows"),
        ({"as_of": ""}, "fans.csv:3: as_of is empty or unreadable in 1 rows"),
        ({"viewer_id": "anna"}, "fans.csv:3: viewer_id is empty or unreadable in 1 rows"),
        ({"viewer_id": "1.5"}, "fans.csv:3: viewer_id is empty or unreadable in 1 rows"),
        ({"label": "yes"}, "fans.csv:3: label is empty or unreadable in 1 rows"),
        ({"label": ""}, "fans.csv:3: label is empty or unreadable in 1 rows"),
        ({"label": "0.6"}, "fans.csv:3: label is empty or unreadable in 1 rows"),
        ({"label": 2}, "fans.csv:3: label is neither 0 nor 1 in 1 rows"),
        ({"label": -1}, "fans.csv:3: label is neither 0 nor 1 in 1 rows"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(
    shared_cinema: Workshop, teachers: Path, values: dict[str, object], said: str
) -> None:
    message = refusal(shared_cinema, teachers, changed(1, **values))
    assert said in message
    assert "anna" not in message


def test_whole_numbers_written_as_decimals_are_read(shared_cinema: Workshop, teachers: Path) -> None:
    decimals = read(shared_cinema, teachers, changed(0, label="1.0", viewer_id="2.0"))
    assert decimals.table.equals(read(shared_cinema, teachers).table)


def test_a_fraction_in_a_parquet_column_is_refused(shared_cinema: Workshop, teachers: Path) -> None:
    with pytest.raises(TeacherError, match="label is empty or unreadable in 1 rows"):
        read_columns(shared_cinema, teachers, pa.array([at(1), at(2)], INSTANT), [0.4, 1.0])


def test_repeated_rows_are_refused_whatever_their_label(shared_cinema: Workshop, teachers: Path) -> None:
    repeated = [*ROWS, {**ROWS[0], "label": 0}, {**ROWS[1], "as_of": "1998-01-15T13:00:00+01:00"}]
    said = refusal(shared_cinema, teachers, repeated)
    assert "2 rows repeat a (viewer_id, as_of) that stands in the file already" in said


def test_unknown_people_are_counted_not_named(shared_cinema: Workshop, teachers: Path) -> None:
    said = refusal(shared_cinema, teachers, [*ROWS, {"viewer_id": 987654, "as_of": "1998-01-15T12:00:00Z", "label": 0}])
    assert "1 of 4 rows name a viewer_id that viewers does not hold" in said
    assert "987654" not in said


def test_positives_only_are_refused_with_the_way_out(shared_cinema: Workshop, teachers: Path) -> None:
    said = refusal(shared_cinema, teachers, changed(1, label=1))
    assert "label is 1 in every row" in said
    assert "negatives: sample_population" in said


def test_negatives_only_are_refused(shared_cinema: Workshop, teachers: Path) -> None:
    assert "label is never 1" in refusal(shared_cinema, teachers, [{**row, "label": 0} for row in ROWS])


def test_an_empty_file_is_refused(shared_cinema: Workshop, teachers: Path) -> None:
    teachers.mkdir()
    (teachers / "fans.csv").write_text("viewer_id,as_of,label\n")
    for label in ({}, SAMPLED):
        with pytest.raises(TeacherError, match="label is never 1, so there is nothing to learn"):
            read_teacher(fans(label), shared_cinema.warehouse, teachers)


def test_a_file_that_is_no_parquet_is_refused(shared_cinema: Workshop, teachers: Path) -> None:
    teachers.mkdir()
    (teachers / "fans.parquet").write_text("viewer_id,as_of,label\n")
    with pytest.raises(TeacherError, match=r"fans\.parquet: cannot be read as parquet"):
        read_teacher(fans({"teacher": "fans.parquet"}), shared_cinema.warehouse, teachers)


def test_the_last_known_instant_is_accepted_and_a_second_later_is_not(shared_cinema: Workshop, teachers: Path) -> None:
    newest = WATERMARK - timedelta(days=28)
    assert read(shared_cinema, teachers, changed(0, as_of=newest.isoformat())).set_aside == 0
    late = changed(0, as_of=(newest + timedelta(seconds=1)).isoformat())
    said = refusal(shared_cinema, teachers, late, ImmatureLabel)
    assert f"as_of of 1 rows is later than {newest.isoformat()}: their 28 days (label.within)" in said
    assert "immature: set_aside" in said
    found = read(shared_cinema, teachers, late, immature="set_aside")
    assert (found.table.num_rows, found.set_aside) == (2, 1)


def test_when_every_positive_is_set_aside_the_refusal_says_so_with_and_without_sampling(
    shared_cinema: Workshop, teachers: Path
) -> None:
    late = (WATERMARK - timedelta(days=1)).isoformat()
    rows = [{"viewer_id": n, "as_of": late, "label": 1} for n in (1, 2)]
    for label in ({}, SAMPLED):
        assert "label is never 1" in refusal(shared_cinema, teachers, rows, immature="set_aside", **label)


def test_sampled_negatives_are_four_for_each_positive_at_its_time_and_no_one_positive(
    shared_cinema: Workshop, teachers: Path
) -> None:
    moments = [at(day).isoformat() for day in (150, 200)]
    rows = [{"viewer_id": n, "as_of": moments[n % 2], "label": 1} for n in range(1, 21)]
    table = read(shared_cinema, teachers, rows, **SAMPLED).table
    by_label = {label: [row for row in table.to_pylist() if row["label"] == label] for label in (0, 1)}
    assert len(by_label[1]) == 20
    assert len(by_label[0]) == NEGATIVES_PER_POSITIVE * 20
    assert {row["viewer_id"] for row in by_label[0]}.isdisjoint(range(1, 21))
    counts = [sum(row["as_of"].isoformat() == moment for row in by_label[0]) for moment in moments]
    assert counts == [NEGATIVES_PER_POSITIVE * 10] * 2
    assert len({(row["viewer_id"], row["as_of"]) for row in table.to_pylist()}) == table.num_rows


def test_sampling_is_the_same_in_every_run_but_for_another_seed(shared_cinema: Workshop, teachers: Path) -> None:
    write_teacher(teachers, labelled(10, lambda _: 1))
    fresh = DuckDBWarehouse(CATALOG, shared_cinema.warehouse.marts)
    first = read_teacher(fans(SAMPLED), shared_cinema.warehouse, teachers).table
    assert first.equals(read_teacher(fans(SAMPLED), fresh, teachers).table)
    assert not first.equals(read_teacher(fans(SAMPLED, advanced={"seed": 1}), fresh, teachers).table)


def test_nobody_is_sampled_before_they_are_known(tmp_path: Path, teachers: Path) -> None:
    catalog = with_lag(CATALOG, "ratings", timedelta(days=2))
    rows = [rating(n, n, day) for n, day in ((1, 1), (2, 97.9), (3, 98), (4, 99), (5, 100), (6, 101))]
    warehouse = publish(tmp_path, catalog, {"ratings": rows, "viewers": viewers(6)})
    write_teacher(teachers, [{"viewer_id": 1, "as_of": at(100).isoformat(), "label": 1}])
    table = read_teacher(fans(SAMPLED), warehouse, teachers).table
    assert table.select(["viewer_id", "label"]).to_pydict() == {"viewer_id": [1, 2], "label": [1, 0]}


def test_a_positive_whose_row_is_set_aside_is_not_sampled_as_a_negative(tmp_path: Path, teachers: Path) -> None:
    warehouse = publish(tmp_path, CATALOG, {"ratings": [rating(n, n, 1) for n in (1, 2, 3)], "viewers": viewers(3)})
    late = (WATERMARK - timedelta(days=1)).isoformat()
    moments = {1: at(100).isoformat(), 2: late}
    write_teacher(teachers, [{"viewer_id": n, "as_of": moment, "label": 1} for n, moment in moments.items()])
    table = read_teacher(fans({**SAMPLED, "immature": "set_aside"}), warehouse, teachers).table
    assert [(row["viewer_id"], row["label"]) for row in table.to_pylist()] == [(1, 1), (3, 0)]


def test_a_file_with_negatives_is_not_given_more(shared_cinema: Workshop, teachers: Path) -> None:
    said = refusal(shared_cinema, teachers, ROWS, **SAMPLED)
    assert "holds negatives of its own; leave out `negatives: sample_population`" in said


def test_a_path_that_leaves_the_folder_is_refused(shared_cinema: Workshop, teachers: Path) -> None:
    write_teacher(teachers.parent, ROWS, "elsewhere.csv")
    (teachers / "team").mkdir(parents=True)
    (teachers / "link.csv").symlink_to(teachers.parent / "elsewhere.csv")
    for name in ("team/../../elsewhere.csv", "link.csv"):
        with pytest.raises(TeacherError, match="lies outside the teachers folder"):
            open_file(fans({"teacher": name}), teachers)


def open_file(spec: CampaignSpec, teachers: Path) -> str:
    with opened_teacher(spec, teachers) as file:
        return str(file)


def test_an_absent_file_brings_the_nearest_name(shared_cinema: Workshop, teachers: Path) -> None:
    write_teacher(teachers, ROWS, "team/scifi_fans.csv")
    said = r'team/scifi_fan\.csv: no such file in .*did you mean "team/scifi_fans\.csv"\?'
    with pytest.raises(TeacherError, match=said):
        open_file(fans({"teacher": "team/scifi_fan.csv"}), teachers)
    assert open_file(fans({"teacher": "team/scifi_fans.csv"}), teachers).endswith("team/scifi_fans.csv")
    with pytest.raises(TeacherError, match="no such file"):
        open_file(fans(), teachers / "never_made")


def test_people_named_by_text_are_read_as_text(tmp_path: Path, teachers: Path) -> None:
    names = ("viewer_version_id", pa.string()), ("viewer_id", pa.string())
    schema = pa.schema([*names, ("valid_from", INSTANT), ("valid_to", INSTANT)])
    entity = replace(CATALOG.marts["viewers"], columns=typed({field.name: str(field.type) for field in schema}))
    rows = [{"viewer_version_id": f"v{n}", "viewer_id": n, "valid_from": START, "valid_to": None} for n in ("007", "x")]
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(SCHEMAS, "viewers", schema)
        catalog = replace(CATALOG, marts={**CATALOG.marts, "viewers": entity})
        warehouse = publish(tmp_path, catalog, {"viewers": rows, "ratings": [rating(1, 1, 1)]})
    write_teacher(
        teachers, [{"viewer_id": n, "as_of": at(9).isoformat(), "label": int(n == "x")} for n in ("007", "x")]
    )
    assert read_teacher(fans(), warehouse, teachers).table["viewer_id"].to_pylist() == ["007", "x"]


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(teacher_rows=2), r"fans\.csv: has 3 rows; 2 are allowed\..* raise PLATFORM_MAX_TEACHER_ROWS"),
        (
            Limits(columns=2),
            r"fans\.csv: has 3 columns; 2 are allowed\. It needs viewer_id, .* raise PLATFORM_MAX_COLUMNS",
        ),
        (Limits(teacher_bytes=60), r"fans\.csv: holds 71 bytes of text in viewer_id, as_of, label; 60 are allowed\."),
    ],
    ids=["rows", "columns", "text"],
)
def test_a_file_larger_than_allowed_is_refused_by_what_there_is_too_much_of(
    limits: Limits, said: str, shared_cinema: Workshop, teachers: Path
) -> None:
    write_teacher(teachers, ROWS)
    with pytest.raises(TeacherError, match=said):
        read_teacher(fans(), shared_cinema.warehouse, teachers, limits)
    allowed = Limits(teacher_rows=3, columns=3, teacher_bytes=71)
    assert read_teacher(fans(), shared_cinema.warehouse, teachers, allowed).table.num_rows == 3


def test_a_text_repeated_by_a_dictionary_counts_as_often_as_it_is_repeated(
    shared_cinema: Workshop, teachers: Path
) -> None:
    teachers.mkdir()
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), pa.array(["x" * 1_000_000]))
    table = pa.table({"viewer_id": [1] * 5_000, "as_of": text, "label": [1] * 5_000})
    pq.write_table(table, teachers / "fans.parquet")
    assert (teachers / "fans.parquet").stat().st_size < 100_000
    with pytest.raises(TeacherError, match="holds 5000000000 bytes of text in as_of; 2147483648 are allowed"):
        read_teacher(fans({"teacher": "fans.parquet"}), shared_cinema.warehouse, teachers)


def test_a_column_of_lists_is_refused_by_its_name(shared_cinema: Workshop, teachers: Path) -> None:
    with pytest.raises(TeacherError, match=r"as_of is a list<.*>; it takes one value a row"):
        read_columns(shared_cinema, teachers, pa.array([["1998-01-15"], []]))


PEAK = """
import resource, sys
from pathlib import Path
from tests.campaigns.test_teacher import TeacherError, read_teacher
from tests.campaigns.worlds import cinema, fans

folder = Path(sys.argv[1])
warehouse = cinema(folder / "world", 5)
warehouse.value(warehouse.table("viewers").count())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_teacher(fans({"teacher": "fans.parquet"}), warehouse, folder / "teachers")
except TeacherError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_small_file_of_many_rows_takes_little_memory(teachers: Path) -> None:
    rows = 2_000_000
    as_of = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000, pa.int32()), pa.array(["1998-01-15T12:00:00Z"]))
    few = pa.table({"viewer_id": [1] * 1_000, "as_of": as_of, "label": [1] * 1_000})
    teachers.mkdir()
    pq.write_table(pa.concat_tables([few] * (rows // 1_000)).combine_chunks(), teachers / "fans.parquet")
    assert (teachers / "fans.parquet").stat().st_size < 50_000
    done = run_python("-c", PEAK, teachers.parent)
    assert done.returncode == 0, done.stderr
    # An engine that takes long on a busy machine draws its progress above.
    *_, said, mebibytes = done.stdout.splitlines()
    assert said.endswith(
        f"{rows - 1} rows repeat a (viewer_id, as_of) that stands in the file already; keep one of each"
    )
    assert int(mebibytes) < 150
