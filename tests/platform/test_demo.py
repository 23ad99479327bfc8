"""The demo's runs on the small platform: at first, with nothing changed, and with one parameter changed."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from platform_assets.environment import Environment
from samples import demo
from tests.support.answered import QUESTIONS, Answered, Ran
from tests.support.declared import write_declaration

pytestmark = pytest.mark.slow

FOLDS = 5
FAMILIES = ("lightgbm", "network")


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture(scope="module")
def environment(answered: Answered, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Of a copy of the platform that was asked, to ask again."""
    folder = shutil.copytree(answered.folder, tmp_path_factory.mktemp("demo") / "again")
    return replace(answered, folder=folder).environment


@pytest.fixture(autouse=True)
def cut_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "QUESTIONS", QUESTIONS)


def steps(ran: Ran) -> dict[tuple[str, str, str | None], dict[str, Any]]:
    """(run, step, partition) → metadata, of the steps that keep their result in the store."""
    return {
        (run, *step): metadata
        for run, found in ran.items()
        for step, metadata in found.metadata.items()
        if "cache" in metadata
    }


def published(environment: Environment) -> dict[str, str]:
    """File below the audiences folder → hash of its content."""
    files = sorted(path for path in Path(environment.audiences).rglob("*") if path.is_file())
    return {str(f.relative_to(environment.audiences)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_the_table_tells_what_a_person_wants_to_know(answered: Answered) -> None:
    first, environment = answered.ran, answered.environment
    assert demo.fits(first) == len(QUESTIONS) * len(FAMILIES) * FOLDS
    told = demo.table(first, environment)
    print(told)
    for words in (
        "repeat_buyers as of 1998-04-01",
        "people 2,946",
        "out-of-fold AUC",
        "held-out AUC",
        "predicted/actual",
        "top decile",
        "scifi_fans as of 1998-04-23",
        "not known yet: the horizon is not over in the exports",
    ):
        assert words in told
    places = [line.split()[-1] for line in told.splitlines() if line.strip().endswith((".csv", ".html"))]
    assert len(places) == 2 * len(QUESTIONS)
    assert all(Path(place).is_file() for place in places)


def test_a_rerun_with_nothing_changed_fits_nothing_and_leaves_everything_as_it_was(
    answered: Answered, environment: Environment, instance: dg.DagsterInstance
) -> None:
    first, before = answered.ran, published(environment)
    again = demo.run_everything(environment, instance)
    print(
        "\nseconds:",
        {run: (round(first[run].seconds, 1), round(found.seconds, 1)) for run, found in again.items()},
    )
    assert demo.fits(again) == 0
    assert steps(again).keys() == steps(first).keys()
    missed = {step: found["cache_reason"] for step, found in steps(again).items() if found["cache"] != "hit"}
    assert missed == {}
    for step, metadata in steps(again).items():
        assert metadata.get("content_hash") == steps(first)[step].get("content_hash"), step
    assert published(environment) == before
    assert before


def test_one_changed_parameter_remakes_its_folds_the_ensemble_and_what_follows(
    answered: Answered, environment: Environment, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    for question in QUESTIONS:
        text = (environment.campaigns / question.campaign / "defs.yaml").read_text(encoding="utf-8")
        if question.campaign == "repeat_buyers":
            text += "  advanced: {models: {lightgbm: {num_leaves: 6}, network: {}}}\n"
        write_declaration(tmp_path, question.campaign, text)
    changed = demo.run_everything(replace(environment, campaigns=tmp_path), instance)
    remade = {step for (_, step, _), metadata in steps(changed).items() if metadata["cache"] == "miss"}
    fitted = {step for step in remade if "__fold_" in step}
    assert len(fitted) == FOLDS
    assert all("repeat_buyers__lightgbm__fold_" in step for step in fitted)
    assert {"repeat_buyers/models/lightgbm", "repeat_buyers/ensemble"} <= remade
    assert remade - fitted <= {
        f"repeat_buyers/{step}"
        for step in ("models/lightgbm", "ensemble", "promoted_model", "scores", "audience", "report")
    }
