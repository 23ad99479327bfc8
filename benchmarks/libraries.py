"""What is our own although a library has it, against the library: CPU-seconds of one thread on made-up rows.

Run one of them with `python -m benchmarks.libraries adamw|bootstrap|trees`, or all without a name.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics as reference

from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.gbdt import LightGBMClassifier
from platform_assets.learning.figures import intervals

Floats = npt.NDArray[Any]

FIT = """
import time, numpy, torch
{replace}
from platform_assets.learning.families.networks.network import NetworkClassifier
generator = numpy.random.default_rng(0)
X = generator.normal(size=({rows}, 20))
y = (X[:, :5].sum(axis=1) + 2 * generator.normal(size={rows}) > 0).astype(int)
begun = time.process_time()
NetworkClassifier().fit(X, y)
print(time.process_time() - begun)
"""
TORCHS = """
from platform_assets.learning.families.networks import training
class AdamW:
    def __init__(self, weights, weight_decay):
        groups = [dict(params=[part], name=name) for name, part in weights.items()]
        self.optimizer, self.steps = torch.optim.AdamW(groups, weight_decay=weight_decay, fused=True), 0
    def step(self, rates):
        self.steps += 1
        for group in self.optimizer.param_groups:
            group["lr"] = rates[group["name"]]
        self.optimizer.step()
        self.optimizer.zero_grad()
training.AdamW = AdamW
"""


def adamw() -> None:
    """A network's whole fit in a process of its own, torch imported before."""
    for rows in (3_000, 20_000):
        seconds = []
        for replace in ("", TORCHS):
            code = FIT.format(replace=replace, rows=rows)
            run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            seconds.append(float(run.stdout))
        print(f"fit of {rows} rows: torch's kernel {seconds[0]:.2f} s, torch.optim.AdamW {seconds[1]:.2f} s")


def bootstrap() -> None:
    """A hundred draws of entities: our six figures at once, and four of them by scikit-learn with weights of rows."""
    generator = np.random.default_rng(0)
    for rows in (5_000, 50_000):
        p = np.round(generator.random(rows), 4)
        y, groups = (generator.random(rows) < p).astype(int), np.arange(rows) // 3
        ours = _cpu(partial(intervals.figures_with_intervals, y, p, groups, resamples=100))
        theirs = _cpu(partial(_drawn_by_weights, y, p, groups, generator))
        print(f"{rows} rows: ours {ours:.2f} s, scikit-learn {theirs:.2f} s, {theirs / ours:.0f} times")


def _drawn_by_weights(y: Floats, p: Floats, groups: Floats, generator: np.random.Generator) -> None:
    people = int(groups.max()) + 1
    for _ in range(100):
        weight = np.bincount(generator.integers(0, people, people), minlength=people)[groups]
        reference.roc_auc_score(y, p, sample_weight=weight)
        reference.average_precision_score(y, p, sample_weight=weight)
        reference.log_loss(y, p, sample_weight=weight)
        reference.brier_score_loss(y, p, sample_weight=weight)


def trees() -> None:
    """Rows a CPU-second of the same trees."""
    generator = np.random.default_rng(0)
    X = np.round(generator.normal(size=(20_000, 50)), 2)
    X[generator.random(X.shape) < 0.1] = np.nan
    y = (np.nan_to_num(X[:, :8]).sum(axis=1) + 2 * generator.normal(size=len(X)) > 0).astype(int)
    many = np.tile(X, (5, 1))
    for rounds, leaves in ((130, 8), (500, 8), (500, 16)):
        fitted = LightGBMClassifier(learning_rate=0.02, num_leaves=leaves).fit(X, y, fitting=Fitting(rounds=rounds))
        for rows in (1, 1_000, 100_000):
            asked, again = many[:rows], max(1, 2_000 // rows)
            ours = _cpu(partial(fitted.positive_probability, asked), again)
            theirs = _cpu(partial(fitted.booster_.predict, asked, num_threads=1), again)
            print(
                f"{rounds} trees of {leaves} leaves, {rows} rows at once: ours {rows / ours:,.0f} rows a CPU-s, "
                f"LightGBM {rows / theirs:,.0f}, {theirs / ours:.1f} times"
            )


def _cpu(work: Callable[[], object], again: int = 1) -> float:
    """CPU-seconds of a call, the best of three, after one to warm up."""
    work()
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        for _ in range(again):
            work()
        seconds.append((time.process_time() - begun) / again)
    return min(seconds)


COMPARISONS = {"adamw": adamw, "bootstrap": bootstrap, "trees": trees}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.libraries", description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", choices=[*COMPARISONS, []], help="all when none is named")
    for name in parser.parse_args().what or COMPARISONS:
        COMPARISONS[name]()


if __name__ == "__main__":
    main()
