"""How networks train: what stops them, what they tell, what they leave alone."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from platform_assets.learning.families.fitting import Fitting, Progress
from platform_assets.learning.families.networks.adamw import AdamW
from platform_assets.learning.families.networks.architecture import initial_weights, logits, piecewise_steps, ramps
from platform_assets.learning.families.networks.network import PREDICT_ROWS, NetworkClassifier
from platform_assets.learning.families.networks.training import TrainingDiverged
from platform_assets.learning.figures import metrics
from tests.learning.conftest import Table, make_table

TINY: dict[str, Any] = {"hidden_width": 8, "members": 2, "bins": 4, "dropout": 0.2}


def test_early_stopping_keeps_the_best_epoch(table: Table) -> None:
    fitted = NetworkClassifier(**TINY, learning_rate=0.02, patience=3).fit(table.X, table.y, table.groups)
    assert fitted.ended_by_ == "convergence"
    assert fitted.best_iteration_ == len(fitted.history_) - 3
    assert fitted.history_[fitted.best_iteration_ - 1] == pytest.approx(min(fitted.history_), abs=2e-5)


def test_the_kept_weights_are_those_that_were_validated(table: Table) -> None:
    fitted = NetworkClassifier(**TINY, learning_rate=0.02, patience=3).fit(table.X, table.y, table.groups)
    shorter = NetworkClassifier(**TINY, learning_rate=0.02, patience=3, max_epochs=fitted.best_iteration_)
    shorter.fit(table.X, table.y, table.groups)
    assert shorter.ended_by_ == "rounds"
    assert (shorter.predict_proba(table.X) == fitted.predict_proba(table.X)).all()


def test_too_few_rows_to_validate_on_run_a_stated_number_of_epochs() -> None:
    small = make_table(100)
    fitted = NetworkClassifier(**TINY, unvalidated_epochs=3).fit(small.X, small.y, groups=small.groups)
    assert (fitted.best_iteration_, fitted.history_, fitted.ended_by_) == (3, [], "rounds")


def test_a_refit_runs_exactly_the_epochs_asked_for_on_all_rows(table: Table) -> None:
    told: list[Progress] = []
    fitted = table.fit(NetworkClassifier(**TINY, patience=1), Fitting(rounds=5, report=told.append))
    assert (fitted.best_iteration_, fitted.history_, fitted.ended_by_) == (5, [], "rounds")
    assert [one.round for one in told] == [1, 2, 3, 4, 5]
    assert all(one.validation_loss is None for one in told)
    assert fitted.preprocessor_.median_[0] == np.median(table.X["orders"])


def test_every_epoch_is_told_with_its_losses_its_learning_rate_and_its_speed(table: Table) -> None:
    told: list[Progress] = []
    fitted = NetworkClassifier(**TINY, max_epochs=4).fit(table.X, table.y, table.groups, Fitting(report=told.append))
    assert [one.round for one in told] == [1, 2, 3, 4]
    assert [one.validation_loss for one in told] == fitted.history_
    assert all(0 < one.learning_rate < fitted.learning_rate and one.rows_per_second > 0 for one in told)
    losses = np.array([one.train_loss for one in told], float)
    assert (np.diff(losses) <= 0).all()


def test_a_smaller_batch_learns_at_a_rate_smaller_by_the_square_root() -> None:
    small = make_table(100)
    told: list[Progress] = []
    fitted = NetworkClassifier(**TINY, learning_rate=0.008, batch_size=128, unvalidated_epochs=1)
    fitted.fit(small.X, small.y, fitting=Fitting(rounds=1, report=told.append))
    assert told[0].learning_rate == pytest.approx(0.004)


def test_the_epoch_that_uses_up_the_budget_is_the_last_and_the_best_so_far_is_kept(table: Table) -> None:
    import torch  # noqa: F401  the budget is not for importing it

    budget, begun = 1.5, time.process_time()

    def use_up(progress: Progress) -> None:
        while progress.round == 2 and time.process_time() < begun + budget + 0.1:
            pass

    fitted = NetworkClassifier(**TINY).fit(table.X, table.y, table.groups, Fitting(cpu_seconds=budget, report=use_up))
    assert (fitted.ended_by_, len(fitted.history_)) == ("budget", 2)
    assert fitted.history_[fitted.best_iteration_ - 1] == min(fitted.history_)


@pytest.mark.parametrize("spent", [0.0, 1e-9])
def test_a_budget_used_up_at_once_still_gives_a_model_of_one_epoch(table: Table, spent: float) -> None:
    fitted = NetworkClassifier(**TINY).fit(table.X, table.y, table.groups, Fitting(cpu_seconds=spent))
    assert (fitted.best_iteration_, len(fitted.history_), fitted.ended_by_) == (1, 1, "budget")
    refitted = NetworkClassifier(**TINY).fit(table.X, table.y, table.groups, Fitting(rounds=5, cpu_seconds=spent))
    assert (refitted.best_iteration_, refitted.ended_by_) == (1, "budget")


@pytest.mark.parametrize("rounds", [None, 3])
def test_a_diverging_network_stops_with_a_sentence(table: Table, rounds: int | None) -> None:
    with pytest.raises(TrainingDiverged, match=r"in epoch 1.*lower learning_rate"):
        NetworkClassifier(**TINY, learning_rate=1e38).fit(table.X, table.y, fitting=Fitting(rounds=rounds))


def test_a_network_refuses_a_device_that_is_not_there(table: Table) -> None:
    with pytest.raises(ValueError, match='give "auto", "cpu" or "cuda"'):
        NetworkClassifier(device="tpu").fit(table.X, table.y)


def test_fitting_a_network_leaves_torchs_threads_and_random_state_alone(table: Table) -> None:
    import torch

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    NetworkClassifier(**TINY, max_epochs=2).fit(table.X, table.y)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_numpy_and_torch_go_forward_alike(table: Table) -> None:
    import torch

    inputs = np.random.default_rng(0).normal(size=(500, 5)).astype(np.float32)
    weights = initial_weights(piecewise_steps(inputs, 5, 4), 5, 8, 3, 2, [0.2, 0.7], np.random.default_rng(1))
    weights["weight_0"][5:] = 0.1
    ours = logits(weights, inputs, lambda values: np.maximum(values, 0.0))
    tensors = {name: torch.from_numpy(part) for name, part in weights.items()}
    theirs = logits(tensors, torch.from_numpy(inputs), torch.relu).numpy()
    assert ours.shape == (2, 500, 2)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_ramps_rise_from_quantile_to_quantile_and_two_valued_columns_have_none() -> None:
    inputs = np.column_stack([np.arange(9.0), np.arange(9) % 2, np.ones(9)]).astype(np.float32)
    assert len(piecewise_steps(inputs, 3, 4)["step_column"]) == 0
    steps = piecewise_steps(np.repeat(inputs, 60, axis=0), 3, 4)
    assert steps["step_column"].tolist() == [0, 0, 0, 0]
    assert steps["step_start"].tolist() == [0.0, 2.0, 4.0, 6.0]
    encoded = ramps(steps, np.asarray([[-1.0, 0, 0], [3.0, 0, 0], [9.0, 0, 0]], dtype=np.float32))
    assert encoded.tolist() == [[0, 0, 0, 0], [1, 0.5, 0, 0], [1, 1, 1, 1]]


def test_a_rows_bits_are_its_own_at_every_place_in_a_batch(table: Table) -> None:
    fitted = NetworkClassifier(max_epochs=1).fit(table.X, table.y, table.groups)
    row = table.X.to_numpy()[:1]
    others = np.random.default_rng(0).choice(table.X.to_numpy(), PREDICT_ROWS)
    alone = fitted.positive_probability(row)[0]
    for place in range(0, PREDICT_ROWS, 37):
        batch = others.copy()
        batch[place] = row
        assert fitted.positive_probability(batch)[place] == alone


def test_a_value_that_most_rows_share_leaves_ramps_for_the_others() -> None:
    gains = np.concatenate([np.zeros(9200), np.arange(800)]).astype(np.float32)[:, None]
    starts = piecewise_steps(gains, 1, 8)["step_start"]
    assert len(starts) >= 4
    assert (np.diff(starts) < 400).all()


def test_ramps_let_a_network_see_a_bump_that_few_epochs_of_lines_do_not() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(3000, 1))
    y = ((np.abs(x[:, 0]) < 0.4) | (np.abs(x[:, 0]) > 1.5)).astype(int)
    networks = [NetworkClassifier(bins=bins, learning_rate=0.005, max_epochs=4).fit(x, y) for bins in (0, 16)]
    aucs = [metrics.auc(y, network.predict_proba(x)[:, 1]) for network in networks]
    assert aucs[1] > aucs[0] + 0.05


def test_adamw_steps_as_torchs_own_does_to_the_last_bit() -> None:
    import torch

    generator = torch.Generator().manual_seed(0)
    start = {name: torch.randn(size, generator=generator) for name, size in (("body", 50), ("head", 7))}
    ours, theirs = ({name: part.clone().requires_grad_() for name, part in start.items()} for _ in range(2))
    rates = {"body": 0.003, "head": 0.01}
    optimizer = AdamW(ours, 0.1)
    groups = [{"params": [theirs[name]], "lr": rate} for name, rate in rates.items()]
    reference = torch.optim.AdamW(groups, weight_decay=0.1, fused=True)
    for _ in range(100):
        for weights in (ours, theirs):
            torch.cat([(part - 1.0) ** 4 for part in weights.values()]).sum().backward()
        optimizer.step(rates)
        reference.step()
        reference.zero_grad()
    for name, part in start.items():
        assert (ours[name] - part).abs().max() > 0.1
        assert torch.equal(ours[name], theirs[name])


def test_a_weight_whose_rate_is_zero_stays() -> None:
    import torch

    start = torch.randn(50, generator=torch.Generator().manual_seed(0))
    frozen, moving = start.clone().requires_grad_(), start.clone().requires_grad_()
    optimizer = AdamW({"body": frozen, "head": moving}, 0.1)
    ((frozen + moving) ** 2).sum().backward()
    optimizer.step({"body": 0.0, "head": 0.01})
    assert torch.equal(frozen, start)
    assert not torch.equal(moving, start)
