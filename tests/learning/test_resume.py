"""A fit that was killed goes on where it left off, and ends as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.learning.families.checkpoint import DamagedState, pack, unpack
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.networks.body import pretrain_body
from platform_assets.learning.families.networks.network import NetworkClassifier
from platform_assets.learning.families.registry import make_estimator
from tests.learning.conftest import LatestState, Stopped, Table, make_table

# Kills, and the epochs of a fit that is longer than they take.
A_FEW, MANY = (3, 5), (20, 28)
BATCHES = 32
INTERVAL = 7
TINY: dict[str, Any] = {"hidden_width": 8, "members": 2, "bins": 4, "dropout": 0.2}
BRIEF = TINY | {"max_epochs": 2}


class FolderCheckpoints:
    """Keeps every seventh state, and writes down where each was taken: one after every batch."""

    def __init__(self, folder: Path) -> None:
        self.state, self.log = folder / "state", folder / "log"
        self.calls = 0

    def load(self) -> bytes | None:
        return self.state.read_bytes() if self.state.exists() else None

    def save(self, state: bytes) -> None:
        values = unpack(state)[1]
        with self.log.open("a") as log:
            log.write(f"{values['epoch']} {values['next_row']}\n")
        self.calls += 1
        if self.calls % INTERVAL == 0:
            aside = self.state.with_suffix(".aside")
            aside.write_bytes(state)
            os.replace(aside, self.state)


def lasting(epochs: int) -> NetworkClassifier:
    """A model that is fitted for so many epochs."""
    return NetworkClassifier(**TINY, max_epochs=epochs, patience=epochs)


def fit_in(folder: Path, epochs: int) -> None:
    """What the child does: the whole fit, from whatever state is there."""
    table = make_table()
    fitting = Fitting(checkpoints=FolderCheckpoints(folder), checkpoint_seconds=0.0)
    table.fit(lasting(epochs), fitting).save(folder / "fitted")


@pytest.mark.slow
def test_kills_at_random_moments_cost_an_interval_each_at_most_and_change_no_bit(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    option = pytestconfig.option
    kills, epochs = MANY if option.deep else A_FEW
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", __name__])
    generator = np.random.default_rng(option.seed)
    log = tmp_path / "log"
    log.touch()
    ended_at = []
    for _ in range(kills):
        child = context.Process(target=fit_in, args=(tmp_path, epochs))
        child.start()
        assert child.pid is not None
        enough = log.stat().st_size + 5 * int(generator.integers(0, 30))
        while log.stat().st_size < enough and child.is_alive():
            time.sleep(0.001)
        time.sleep(generator.uniform(0.0, 0.005))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert child.exitcode == -signal.SIGKILL
        ended_at.append(len(log.read_text().splitlines()))
    fit_in(tmp_path, epochs)

    done = log.read_text().splitlines()
    for killed, end in zip(ended_at, [*ended_at[1:], len(done)], strict=True):
        # A kill may have hit while a state was written down: that batch is in both lives, or in none.
        redone = len(set(done[:killed]) & set(done[killed:end]))
        assert redone <= INTERVAL
    assert len(set(done)) == epochs * BATCHES

    assert_same_fit(NetworkClassifier.load(tmp_path / "fitted"), make_table().fit(lasting(epochs)))


def assert_same_fit(fitted: NetworkClassifier, other: NetworkClassifier) -> None:
    assert fitted.weights_.keys() == other.weights_.keys()
    for name, part in other.weights_.items():
        assert fitted.weights_[name].tobytes() == part.tobytes(), name
    assert fitted.history_ == other.history_
    assert (fitted.best_iteration_, fitted.ended_by_) == (other.best_iteration_, other.ended_by_)


def stopped(model: NetworkClassifier, table: Table, batches: int) -> bytes:
    """What a fit that was ended after so many batches left behind."""
    kept = LatestState(stop_after=batches)
    with pytest.raises(Stopped):
        table.fit(model, Fitting(checkpoints=kept, checkpoint_seconds=0.0))
    assert kept.state is not None
    return kept.state


@pytest.fixture(scope="module")
def fittings(table: Table, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fitting]:
    """What each family has to go on from a checkpoint with."""
    task = replace(table, y=1 - table.y).task()
    body = tmp_path_factory.mktemp("body")
    pretrain_body([task], list(table.X.columns), body, TINY, fitting=Fitting(rounds=1))
    return {"network": Fitting(), "multitask": Fitting(tasks=(task,)), "transfer": Fitting(body=body)}


# Within an epoch, at its very end (32 batches), and in a later one.
@pytest.mark.parametrize(
    ("family", "stop_after", "rounds"),
    [
        ("network", 5, None),
        ("network", 32, None),
        ("network", 45, 2),
        ("multitask", 45, None),
        ("transfer", 40, None),
    ],
)
def test_every_network_family_goes_on_from_any_batch_as_if_undisturbed(
    family: str, stop_after: int, rounds: int | None, table: Table, fittings: dict[str, Fitting]
) -> None:
    kept = LatestState(stop_after)
    undisturbed_fitting = replace(fittings[family], checkpoint_seconds=0.0, rounds=rounds)
    fitting = replace(undisturbed_fitting, checkpoints=kept)
    undisturbed = table.fit(make_estimator(family, BRIEF), undisturbed_fitting)
    with pytest.raises(Stopped):
        table.fit(make_estimator(family, BRIEF), fitting)
    resumed = table.fit(make_estimator(family, BRIEF), fitting)
    # Every batch was done once, before the stop or after it.
    positions = [(values["epoch"], values["next_row"]) for values in (unpack(state)[1] for state in kept.saved)]
    assert len(positions) == len(set(positions)) > stop_after
    assert_same_fit(resumed, undisturbed)


@pytest.mark.parametrize("differs", ["rows", "labels", "parameters", "seed", "rounds"])
def test_the_state_of_another_fit_is_left_alone(differs: str, table: Table) -> None:
    state = stopped(NetworkClassifier(**BRIEF), table, 30)
    changes: dict[str, dict[str, Any]] = {"parameters": {"learning_rate": 0.002}, "seed": {"random_state": 1}}
    other, fitting = table.with_other(differs), Fitting(rounds=2 if differs == "rounds" else None)
    made = NetworkClassifier(**BRIEF | changes.get(differs, {}))
    weights = other.fit(made, fitting).weights_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        beside = other.fit(made, replace(fitting, checkpoints=LatestState(state=state)))
    assert all(beside.weights_[name].tobytes() == part.tobytes() for name, part in weights.items())


def test_a_damaged_state_is_left_alone_and_says_so(table: Table) -> None:
    damaged = bytearray(stopped(NetworkClassifier(**BRIEF), table, 30))
    damaged[len(damaged) // 2] ^= 1
    fitting = Fitting(checkpoints=LatestState(state=bytes(damaged)))
    with pytest.warns(UserWarning, match=r"checkpoint of this fit is damaged.*starts anew"):
        fitted = table.fit(NetworkClassifier(**BRIEF), fitting)
    assert_same_fit(fitted, table.fit(NetworkClassifier(**BRIEF)))


def test_no_state_is_left_before_the_interval_is_over(table: Table) -> None:
    kept = LatestState()
    table.fit(NetworkClassifier(**BRIEF), Fitting(checkpoints=kept, checkpoint_seconds=3600.0))
    assert kept.saved == []


def test_cpu_seconds_spent_before_a_kill_count_after_it(table: Table) -> None:
    arrays, values = unpack(stopped(NetworkClassifier(**TINY), table, 40))
    before = LatestState(state=pack(arrays, values | {"cpu_seconds": 1e6}))
    fitted = table.fit(NetworkClassifier(**TINY), Fitting(cpu_seconds=1e5, checkpoints=before))
    assert (fitted.ended_by_, len(fitted.history_)) == ("budget", 2)


STATE = pack({"weights": np.arange(5.0), "bits": np.zeros(0, dtype=np.uint8)}, {"history": [0.1], "best": None})


def test_a_state_comes_back_as_it_went() -> None:
    arrays, values = unpack(STATE)
    assert values == {"history": [0.1], "best": None}
    assert arrays["weights"].tolist() == [0, 1, 2, 3, 4]
    assert arrays["bits"].dtype == np.uint8


@given(st.integers(0, len(STATE) - 1), st.integers(1, 255))
def test_a_state_with_one_other_byte_is_refused(position: int, change: int) -> None:
    damaged = bytearray(STATE)
    damaged[position] ^= change
    with pytest.raises(DamagedState):
        unpack(bytes(damaged))


@given(st.integers(0, len(STATE) - 1))
def test_a_state_cut_short_is_refused(length: int) -> None:
    with pytest.raises(DamagedState):
        unpack(STATE[:length])
