"""Every network family on the accelerator that is there, beside the CPU: the same rows, seeds and epochs.

First three things that have to hold on the accelerator: one epoch without dropout leads to the CPU's probabilities, our
optimiser steps as `torch.optim.AdamW` does, and a fit that is cut short and taken up again ends as if it had not been.
Then a line for each size, family and way to compute: wall seconds, training rows a second (starting included), share of
the time the accelerator was busy and its peak memory, and AUC on rows never trained on, which has to lie within `BOUND` of
the CPU's for the same seed. Precision is set for each line: float32 ("ieee"), TF32, and bfloat16 by autocast. One
accelerator; several are not claimed. Exit status 1: something did not hold. Run with `python -m benchmarks.gpu`.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from platform_assets.foundation.gpus.use import gpu_use
from platform_assets.learning.families.estimator import TableClassifier
from platform_assets.learning.families.fitting import Fitting, RelatedTask
from platform_assets.learning.families.networks.adamw import AdamW
from platform_assets.learning.families.networks.body import pretrain_body
from platform_assets.learning.families.registry import ON_GPU, make_estimator
from platform_assets.learning.figures.metrics import auc

Floats = npt.NDArray[np.float64]

COLUMNS, TEST_ROWS = 60, 50_000
# An accelerator adds up in another order and draws other dropout: two seeds on one CPU differ by as much.
BOUND = 0.005
# On average, where nothing is drawn. Sums in another order turn the sign of gradients near 0, and AdamW's first steps are signs.
PROBABILITY_BOUND = 5e-3
NAMES = [f"column_{position}" for position in range(COLUMNS)]


@dataclass(frozen=True)
class Way:
    """How a fit is computed: on which device, in which precision, on how many threads of the CPU."""

    device: str
    precision: str = "float32"
    threads: int = 1

    def __str__(self) -> str:
        return f"{self.device} {self.precision}" if self.device == "cuda" else f"cpu, {self.threads} thread(s)"


@dataclass(frozen=True)
class Question:
    """`labels` (n, 3) of three related questions about the same people."""

    X: Floats
    labels: npt.NDArray[np.int8]

    def related(self) -> tuple[RelatedTask, ...]:
        """The second and third question, as earlier campaigns of the same people."""
        people = np.arange(len(self.X))
        return tuple(RelatedTask(f"task_{task}", self.X, self.labels[:, task], people) for task in (1, 2))


@dataclass
class Figures:
    """What the fits of one line came to, an entry a seed."""

    seconds: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    aucs: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    peak: int = 0

    def line(self, title: str, beside: "Figures") -> str:
        """The line under `HEADER`; `beside` are the figures on one thread of the CPU."""
        seconds, cpu = sum(self.seconds), sum(beside.seconds)
        differences = [own - other for own, other in zip(self.aucs, beside.aucs, strict=True)]
        busy = f"{np.mean(self.busy):.0%}" if self.busy else ""
        peak = f"{self.peak / 1e6:,.0f} MB" if self.peak else ""
        return (
            f"| {title} | {np.mean(self.seconds):.2f} | {cpu / seconds:.1f} | {sum(self.rows) / seconds:,.0f} | {busy} "
            f"| {peak} | {np.mean(self.aucs):.4f} | {min(differences):+.4f} to {max(differences):+.4f} |"
        )

    def far_from(self, beside: "Figures") -> bool:
        return any(abs(own - other) > BOUND for own, other in zip(self.aucs, beside.aucs, strict=True))


HEADER = """| rows, family | computed | s a fit | times as fast | rows/s | busy | peak memory | AUC | minus CPU's |
|---|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 100_000], help="training rows of each table")
    parser.add_argument("--families", nargs="+", choices=sorted(ON_GPU), default=sorted(ON_GPU))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=5, help="of every fit, exactly")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit(
            f"torch {torch.__version__} (built for CUDA {torch.version.cuda}) finds no CUDA device here: nothing is measured. "
            "Run it where a driver and a CUDA build of torch are."
        )
    print(_machine(), flush=True)
    failures = [failure for failure in (_probabilities(), _optimiser(), _resuming()) if failure]
    print(HEADER, flush=True)
    for rows in arguments.rows:
        for family in arguments.families:
            failures += _compare(family, rows, range(arguments.seeds), arguments.epochs)
    print("\n".join(failures) or f"All within their bounds: AUC {BOUND}, probabilities {PROBABILITY_BOUND}.")
    sys.exit(1 if failures else 0)


def _machine() -> str:
    with gpu_use() as use:
        time.sleep(0.1)
    return (
        f"{torch.cuda.get_device_name()}, compute capability {'.'.join(map(str, torch.cuda.get_device_capability()))}, "
        f"torch {torch.__version__}, CUDA {torch.version.cuda}; {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}; NVML: {', '.join(use.devices) or use.problem or 'no device'}"
    )


def _compare(family: str, rows: int, seeds: Sequence[int], epochs: int) -> list[str]:
    """Print the lines of one family at one size; what lies out of bounds, as sentences."""
    ways = [
        Way("cpu"),
        Way("cpu", threads=os.cpu_count() or 1),
        *(Way("cuda", precision) for precision in ("float32", "tf32", "bfloat16")),
    ]
    _fit(family, _question(2_000, 0), ways[-1], 0, 1)
    lines, failures = dict[Way, Figures](), []
    for way in ways:
        figures = lines[way] = Figures()
        for seed in seeds:
            _measure(family, rows, way, seed, epochs, figures)
        print(figures.line(f"{rows:,} {family} | {way}", lines[ways[0]]), flush=True)
        if figures.far_from(lines[ways[0]]):
            failures.append(f"{rows:,} {family} {way}: AUC is more than {BOUND} from the CPU's.")
    return failures


def _measure(family: str, rows: int, way: Way, seed: int, epochs: int, figures: Figures) -> None:
    question, unseen = _question(rows, seed), _question(TEST_ROWS, seed + 1_000)
    torch.cuda.reset_peak_memory_stats()
    begun = time.monotonic()
    with gpu_use(every=0.1) as use:
        model, trained_rows = _fit(family, question, way, seed, epochs)
        torch.cuda.synchronize()
    figures.seconds.append(time.monotonic() - begun)
    figures.rows.append(trained_rows)
    figures.aucs.append(auc(unseen.labels[:, 0], model.predict_proba(_frame(unseen))[:, 1]))
    if way.device == "cuda":
        figures.busy += [sample.utilization for sample in use.samples]
        figures.peak = max(figures.peak, torch.cuda.max_memory_allocated())


def _fit(family: str, question: Question, way: Way, seed: int, epochs: int) -> tuple[TableClassifier, int]:
    """The fitted model, and how many rows went through a training step, pre-training included."""
    params = {"device": way.device, "num_threads": way.threads}
    people, own = np.arange(len(question.X)), len(question.X)
    fitting = Fitting(rounds=epochs)
    with _precision(way), tempfile.TemporaryDirectory() as folder:
        rows = own
        if family == "transfer":
            pretrain_body(question.related(), NAMES, Path(folder), params, seed, fitting)
            fitting, rows = replace(fitting, body=Path(folder)), 3 * own
        if family == "multitask":
            fitting, rows = replace(fitting, tasks=question.related()), 3 * own
        model = make_estimator(family, params, seed)
        model.fit(_frame(question), question.labels[:, 0], people, fitting)
    return model, rows * epochs


@contextmanager
def _precision(way: Way) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if way.precision == "tf32" else "highest")
    # The cache holds weights as they were when they were first cast: training would go on with those.
    bfloat16 = (
        torch.autocast("cuda", torch.bfloat16, cache_enabled=False) if way.precision == "bfloat16" else nullcontext()
    )
    try:
        with bfloat16:
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _question(rows: int, seed: int) -> Question:
    """People drawn anew: columns of counts, amounts and noise, gaps in some, and what three questions share."""
    generator = np.random.default_rng([rows, seed])
    X = generator.normal(size=(rows, COLUMNS))
    X[:, : COLUMNS // 3] = generator.poisson(2.0, (rows, COLUMNS // 3))
    X[:, COLUMNS // 3 : COLUMNS // 2] = np.exp(X[:, COLUMNS // 3 : COLUMNS // 2])
    shared = 0.4 * X[:, 0] - np.minimum(X[:, 1], 3.0) + X[:, -1] * X[:, -2] + np.abs(X[:, -3])
    own = np.stack([X[:, -4], -X[:, -5], X[:, -6] * X[:, 2] / 2], axis=1)
    noise = generator.logistic(scale=1.0, size=(rows, 3))
    labels = (shared[:, None] + own + noise > 1.5).astype(np.int8)
    X[generator.random(X.shape) < 0.02] = np.nan
    return Question(X, labels)


def _frame(question: Question) -> pd.DataFrame:
    return pd.DataFrame(question.X, columns=NAMES)


def _probabilities() -> str | None:
    """Nothing drawn while training: CPU and accelerator start from the same weights and see the same batches."""
    question, unseen = _question(20_000, 7), _question(5_000, 8)
    on_cpu, on_device = (
        _fit("network", question, way, 0, 1)[0].predict_proba(_frame(unseen))[:, 1] for way in (Way("cpu"), Way("cuda"))
    )
    apart = np.abs(on_cpu - on_device)
    print(
        f"one epoch without dropout: probabilities {apart.mean():.1e} from the CPU's on average, at most {apart.max():.1e}"
    )
    return f"Probabilities are {apart.mean():.1e} apart on average." if apart.mean() > PROBABILITY_BOUND else None


def _optimiser() -> str | None:
    """A hundred steps of ours and of torch's on the same gradients."""
    generator = torch.Generator("cuda").manual_seed(0)
    start = {name: torch.randn(shape, generator=generator, device="cuda") for name, shape in SHAPES.items()}
    ours = {name: part.clone().requires_grad_() for name, part in start.items()}
    theirs = {name: part.clone().requires_grad_() for name, part in start.items()}
    optimiser = AdamW(ours, weight_decay=0.01)
    reference = torch.optim.AdamW(theirs.values(), lr=0.008, weight_decay=0.01, fused=True)
    for _ in range(100):
        for name, shape in SHAPES.items():
            gradient = torch.randn(shape, generator=generator, device="cuda")
            ours[name].grad, theirs[name].grad = gradient, gradient.clone()
        optimiser.step(dict.fromkeys(ours, 0.008))
        reference.step()
    apart = max(float((ours[name] - theirs[name]).detach().abs().max()) for name in SHAPES)
    print(f"100 steps of AdamW: weights at most {apart:.1e} from those of torch.optim.AdamW(fused=True)")
    return f"AdamW's weights are {apart:.1e} from torch's." if apart > 1e-6 else None


SHAPES = {"weight": (500, 256), "bias": (256,)}


class _CutShort(Exception):
    """Stands for a pre-emption."""


@dataclass
class _Latest:
    """A checkpoint in memory, and a fit that is cut short once `leave_after` states are saved."""

    leave_after: int | None = None
    state: bytes | None = None
    saves: int = 0

    def load(self) -> bytes | None:
        return self.state

    def save(self, state: bytes) -> None:
        self.state, self.saves = state, self.saves + 1
        if self.saves == self.leave_after:
            raise _CutShort


def _resuming() -> str | None:
    """Dropout on, so that the accelerator's random state has to come back too."""
    question, unseen = _question(5_000, 9), _question(5_000, 10)
    people, checkpoints = np.arange(len(question.X)), _Latest(leave_after=30)
    params: dict[str, Any] = {"device": "cuda", "dropout": 0.1}

    def fitted(fitting: Fitting) -> Floats:
        model = make_estimator("network", params, 0)
        model.fit(question.X, question.labels[:, 0], people, fitting)
        return model.predict_proba(unseen.X)[:, 1]

    whole = fitted(Fitting(rounds=3))
    cut_short = Fitting(rounds=3, checkpoints=checkpoints, checkpoint_seconds=0.0)
    try:
        fitted(cut_short)
    except _CutShort:
        checkpoints.leave_after = None
    else:
        return "The fit that was to be cut short ended before it was."
    apart = float(np.abs(whole - fitted(cut_short)).max())
    print(f"cut short after 30 steps and taken up again: probabilities at most {apart:.1e} from the whole fit's")
    return f"A resumed fit is {apart:.1e} from a whole one." if apart > PROBABILITY_BOUND else None


if __name__ == "__main__":
    main()
