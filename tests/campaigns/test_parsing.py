"""What a person is told about a campaign file: file, line, key, and the nearest right word."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.campaigns.declaration.parsing import CampaignFile, read_campaign, read_campaigns
from platform_assets.campaigns.declaration.spec import CampaignSpec, json_schema
from platform_assets.campaigns.training_sets.calendar import ImmatureLabel, training_dates
from platform_assets.environment import PACKAGE, REPOSITORY
from platform_assets.foundation.execution.profiles import read_profiles
from tests.data.features.conftest import CATALOG, HOLDINGS, WATERMARK
from tests.support.declared import GOOD as MINIMAL

PROFILES = read_profiles(PACKAGE / "foundation" / "execution" / "profiles.yaml")


def read(tmp_path: Path, text: str, name: str = "again") -> CampaignFile:
    path = tmp_path / name / "defs.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return read_campaign(path, HOLDINGS, PROFILES)


def complaint(tmp_path: Path, old: str, new: str) -> str:
    assert old in MINIMAL
    file = read(tmp_path, MINIMAL.replace(old, new))
    assert file.spec is None
    return str(file.error).removeprefix(str(file.path))


def test_the_short_form_is_a_whole_campaign(tmp_path: Path) -> None:
    file = read(tmp_path, MINIMAL)
    assert file.error is None
    spec = file.spec
    assert isinstance(spec, CampaignSpec)
    assert spec.horizon == timedelta(days=90)
    assert spec.audience.top == 0.1
    assert spec.schedule is not None
    assert spec.schedule.every == "week"
    assert (spec.score_at, spec.features, spec.value, spec.advanced.folds) == ("latest", "all", None, 5)
    assert set(spec.advanced.models) == {"lightgbm", "network"}


def test_everything_can_be_stated(tmp_path: Path) -> None:
    text = """\
type: platform_assets.components.Campaign
attributes:
  version: 1
  owner: team:crm
  description: Customers likely to order again within 12 weeks
  entity: customer
  population: days_since(orders) > 90 and count(orders, 365) >= 2
  label: {event: orders, within: 12w, where: amount >= 20}
  score_at: 1998-04-01
  train: {as_of: [1997-07-01, 1997-10-01]}
  features: [order_windows]
  value: 12.5
  audience: {min_score: 0.2, exclude: [days_since(orders) < 7], holdout: 5%}
  schedule: {every: month, timezone: Europe/Berlin}
  advanced:
    models: {lightgbm: {learning_rate: 0.05}}
    feature_selection: {drop: [orders_7d], drop_ageing: true}
    folds: 3
    seed: 7
    resources: {profile: gpu, spot: false}
    deadline: 2026-12-01
    code: {commit: 0123456789abcdef0123456789abcdef01234567}
"""
    file = read(tmp_path, text)
    assert file.error is None, file.error
    assert file.spec is not None
    assert file.spec.score_at == date(1998, 4, 1)
    assert file.spec.resolved()["label"] == {"event": "orders", "within": "84d", "where": "amount >= 20"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("owner: crm@example.com", "ownr: crm@example.com", ':3: ownr: is not a field here; did you mean "owner"?'),
        ("within: 90d", "withn: 90d", ':6: label.withn: is not a field here; did you mean "within"?'),
        ("within: 90d", "within: 3 months", ":6: label.within: '3 months' is not a duration"),
        ("event: orders", "evnt: orders", ':6: label.evnt: is not a field here; did you mean "event"?'),
        ("event: orders", "techer: fans.csv", ':6: label.techer: is not a field here; did you mean "teacher"?'),
        ("event: orders", "no_event: orders, wher: amount > 1", ':6: label.wher: is not a field here; did you mean "where"?'),
        ("event: orders", "teacher: fans.csv, immature: keep", ":6: label.immature: 'keep' is not one of 'refuse' or 'set_aside'"),
        ("{event: orders, within: 90d}", "orders", ":6: label: state one of `event`, `no_event` and `teacher`"),
        ("schedule: weekly", "train: {evry: 30d}", ':8: train.evry: is not a field here; did you mean "every"?'),
        ("schedule: weekly", "train: {as_of: [soon]}", ":8: train.as_of.0: "),
        ("event: orders", "event: order", ':6: label.event: customer has no events called order; did you mean "orders"?'),
        ("entity: customer", "entity: custmer", ':5: entity: there is no entity custmer; did you mean "customer"?'),
        ("top: 10%", "topp: 10%", ':7: audience.topp: is not a field here; did you mean "top"?'),
        ("top: 10%", "top: 10%, min_score: 0.5", ":7: audience: state one of `top` and `min_score`"),
        ("top: 10%", "top: 0", ":7: audience.top: an audience holds at least one person"),
        ("schedule: weekly", "schedule: fortnightly", ":8: schedule"),
        ("schedule: weekly", "advanced: {resources: gpuu}", ':8: advanced.resources: there is no resource profile gpuu; did you mean "gpu"?'),
        ("schedule: weekly", "advanced: {resources: {profile: gpu, spto: false}}", ':8: advanced.resources.spto: is not a field here; did you mean "spot"?'),
        ("schedule: weekly", "advanced: {resources: [gpu]}", ":8: advanced.resources"),
        ("schedule: weekly", "advanced: {deadline: soon}", ":8: advanced.deadline"),
        ("schedule: weekly", "advanced: {code: {commit: main}}", ":8: advanced.code.commit"),
        ("schedule: weekly", "features: [order_window]", ':8: features.0: there is no feature group order_window for customer; did you mean "order_windows"?'),
        ("schedule: weekly", "advanced: {models: {lightgmb: {}}}", 'advanced.models.lightgmb: there is no model family lightgmb; did you mean "lightgbm"?'),
        ("schedule: weekly", "advanced: {models: {lightgbm: {learning_rat: 1}}}", 'did you mean "learning_rate"?'),
        ("schedule: weekly", "advanced: {models: {lightgbm: {learning_rate: fast}}}", "advanced.models.lightgbm.learning_rate"),
        ("schedule: weekly", "schedule: {every: week, timezone: Europe}", "is not an IANA time zone"),
        ("schedule: weekly", "population: days_sinc(orders) > 3", [':8: population: ', 'DAYS_SINC(orders) > 3', ''][0]),
        ("schedule: weekly", "advanced:\n    feature_selection:\n      drop: [orders_7]", ":10: advanced.feature_selection.drop.0"),
        ("  schedule: weekly", "  entity: customer", ":8: entity: stands here twice"),
        ("  schedule: weekly", "  schedule: [", "not readable as YAML"),
        ("attributes:", "atributes:", "atributes: is not a key here"),
        ("components.Campaign", "components.Campain", ":1: type: 'platform_assets.components.Campain' is not"),
        ("description: Customers likely to order again within 90 days", "description: short", ":4: description"),
        ("  owner: crm@example.com\n", "", "owner: is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_line_key_and_nearest_right_word(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in complaint(tmp_path, old, new)


def test_a_mistake_in_one_variant_says_nothing_of_the_others(tmp_path: Path) -> None:
    said = complaint(tmp_path, "event: orders, within: 90d", "teacher: fans.txt, withn: 90d")
    keys = [line.split(":")[2].strip() for line in said.replace(str(tmp_path), "").splitlines()]
    assert keys == ["label.teacher", "label.within", "label.withn"]


def test_a_resource_profile_can_be_named_alone(tmp_path: Path) -> None:
    file = read(tmp_path, MINIMAL + "  advanced: {resources: gpu}\n")
    assert file.spec is not None, file.error
    assert (file.spec.advanced.resources.profile, file.spec.advanced.resources.spot) == ("gpu", True)


def test_a_teacher_campaign_cannot_also_state_training_dates(tmp_path: Path) -> None:
    text = MINIMAL.replace("{event: orders, within: 90d}", "{teacher: fans.csv, within: 28d}")
    assert "leave out `train`" in str(read(tmp_path, text + "  train: {snapshots: 3}\n").error)


def test_one_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    read(tmp_path, MINIMAL, "good")
    read(tmp_path, MINIMAL.replace("owner", "ownr"), "bad")
    read(tmp_path, "type: [", "worse")
    files = {file.name: file for file in read_campaigns(tmp_path, HOLDINGS, PROFILES)}
    assert [name for name, file in files.items() if file.error is None] == ["good"]
    assert set(files) == {"good", "bad", "worse"}


# What only our own boundary says, of a fault that nobody foresaw.
UNFORESEEN = "cannot be worked with"
WORDS = st.sampled_from(
    ["yes", "no", "null", "~", "latest", "auto", "all", "weekly", "10%", "0.1", "100%", "90d", "9999w", "1998-04-01", "9999-12-31", "1e999",
     "-1", "0", "99999999999999999999", "x" * 700, "[]", "{}", "[[a]]", "7", "3.5", "order_windows", "orders", "ordered_at > 1998-01-01", "amount between 1 and 1e5", "amount = 1e999", "{a: {b: c}}", "'\\0'", '"\\0"', "count(orders) > 1", "sum(x, 30d)", "(" * 90,
     "is not null", "2024-01-31", "&a x", "*a", "!!int 1", "team:", "class", "lightgbm", "{lightgbm: {learning_rate: .inf}}", "Europe/Berlin", "\u202e"]
)  # fmt: skip
# By top-level key, what may stand there with words of any kind in it.
SHAPES = {
    "label": ["{event: orders, within: 90d, where: 0}", "{event: orders, within: 0}", "{no_event: 0, within: 12w}", "{teacher: 0, within: 28d}", "0"],
    "audience": ["{top: 0}", "{min_score: 0}", "{top: 10%, holdout: 0}", "{top: 5, exclude: [0, 0]}", "{top: 5, exclude: 0}"],
    "train": ["{snapshots: 0, every: 0}", "{as_of: [0, 0]}", "{as_of: 0}"],
    "schedule": ["{every: 0}", "{every: week, timezone: 0}", "0"],
    "advanced": ["{models: {lightgbm: {learning_rate: 0}}}", "{models: {0: {family: lightgbm}}}", "{models: {0: 0}}", "{models: 0}", "{seed: 0, folds: 0}",
                 "{resources: 0}", "{deadline: 0}", "{code: {commit: 0}}", "{feature_selection: {drop: [0], keep: 0}}", "{refit: 0}", "{0: 0}"],
    "features": ["[order_windows, 0]", "0"],
    **{key: ["0", "[0]", "{0: 0}"] for key in ["owner", "description", "entity", "population", "score_at", "value", "version"]},
}  # fmt: skip
CHANGES = st.dictionaries(
    st.sampled_from(sorted(SHAPES)),
    st.tuples(st.integers(0, 9), WORDS | st.text(max_size=6), WORDS),
    min_size=1,
    max_size=3,
)


def written(changes: dict[str, tuple[int, str, str]]) -> str:
    """The minimal campaign with these keys replaced: the shape by its number, its zeros by words."""
    lines = {line.split(":")[0].strip(): line for line in MINIMAL.splitlines()[2:]}
    for key, (number, *words) in changes.items():
        shape = SHAPES[key][number % len(SHAPES[key])]
        first, _, second = shape.partition("0")
        lines[key] = f"  {key}: {first}{words[0]}{second.replace('0', words[1])}"
    return "\n".join([*MINIMAL.splitlines()[:2], *lines.values(), ""])


@given(CHANGES)
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_campaign_file_is_a_campaign_or_a_refusal_that_names_the_file(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, tuple[int, str, str]]
) -> None:
    place = tmp_path_factory.getbasetemp() / "again" / "defs.yaml"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(written(changes).encode("utf-8", "surrogatepass"))
    file = read_campaign(place, HOLDINGS, PROFILES)
    assert (file.spec is None) == (file.error is not None)
    assert all(line.startswith(f"{place}:") for line in str(file.error or "").splitlines())
    assert UNFORESEEN not in str(file.error)
    if file.spec is not None:
        assert CampaignSpec.model_validate(file.spec.resolved()).resolved() == file.spec.resolved()
        with suppress(ImmatureLabel):
            training_dates(file.spec, "UTC", WATERMARK, score_at=date(1998, 7, 1))


def test_a_fault_that_nobody_foresaw_stays_with_its_file(tmp_path: Path) -> None:
    read(tmp_path, MINIMAL, "good")
    halves = replace(CATALOG, entities={**CATALOG.entities, "viewer": replace(CATALOG.entities["viewer"], mart="gone")})
    read(tmp_path, MINIMAL.replace("entity: customer", "entity: viewer") + "  population: age > 3\n", "bad")
    files = {file.name: file for file in read_campaigns(tmp_path, replace(HOLDINGS, catalog=halves), PROFILES)}
    assert files["good"].error is None
    assert str(files["bad"].error).startswith(f"{files['bad'].path}: {UNFORESEEN}: KeyError: ")


def test_what_is_no_file_breaks_that_campaign_alone(tmp_path: Path) -> None:
    read(tmp_path, MINIMAL, "good")
    (tmp_path / "folder" / "defs.yaml").mkdir(parents=True)
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "defs.yaml").symlink_to("defs.yaml")
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "Defs.YML").write_text(MINIMAL)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README.md").write_text("to come")
    errors = {file.name: str(file.error) for file in read_campaigns(tmp_path, HOLDINGS, PROFILES)}
    assert errors == {
        "folder": f"{tmp_path}/folder/defs.yaml: is a folder, not a file",
        "good": "None",
        "late": f"{tmp_path}/late/Defs.YML: is not read; rename it to defs.yaml",
        "loop": f"{tmp_path}/loop/defs.yaml: cannot be read: Too many levels of symbolic links",
    }


def test_a_file_of_before_has_the_settings_it_had(tmp_path: Path) -> None:
    """What results are fingerprinted by: the resolved fields of a file that spells some values oddly."""
    odd = (
        MINIMAL.replace("top: 10%", "top: 1_000, holdout: 0%")
        + "  advanced: {refit: yes, past_campaigns: off, seed: 0x1F}\n"
    )
    file = read(tmp_path, odd)
    assert file.spec is not None, file.error
    resolved = file.spec.resolved()
    assert resolved["audience"] == {"top": 1000, "min_score": None, "exclude": [], "holdout": 0.0}
    assert [resolved["advanced"][key] for key in ("refit", "past_campaigns", "seed")] == [True, False, 31]


def test_the_schema_describes_every_field_for_editors() -> None:
    schema = json_schema()
    assert json.dumps(schema)
    models = [schema["properties"]["attributes"], *schema["$defs"].values()]
    fields = [item for model in models for item in model.get("properties", {}).items()]
    assert [name for name, field in fields if "description" not in field] == []


def test_the_schema_that_editors_read_is_the_one_the_code_has() -> None:
    kept = REPOSITORY / "defs" / "campaign.schema.json"
    assert json.loads(kept.read_text()) == json_schema(), "run `make schema`"
