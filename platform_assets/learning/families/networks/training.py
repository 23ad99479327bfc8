"""The one training loop of the network families, with torch: epochs, early stopping, budget, progress and resuming.

Belongs here: everything that touches torch. Does not belong here: the forward pass (`architecture`), tables, how a family
starts its weights. torch is imported when a training starts, so that a process that only scores never loads it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from platform_assets.learning.families import checkpoint
from platform_assets.learning.families.fitting import CannotFit, Fitting, Progress
from platform_assets.learning.families.networks.adamw import AdamW
from platform_assets.learning.families.networks.architecture import HEADS, STEPS, Weights, logits

if TYPE_CHECKING:
    import torch

# Mean log loss, in nats, that no fit passes on its way to a good one: chance is below 0.7.
DIVERGED = 20.0
VALIDATE_ROWS = 8192


class TrainingDiverged(CannotFit):
    """The loss stopped being a number, or left all bounds, while fitting; the message names the epoch and what to change."""


@dataclass(frozen=True)
class Rows:
    """Rows to learn from or to measure on: `inputs` (n, columns), `labels` (n,) coded 0/1, and `tasks` (n,), the one head
    that each row has a label for: the loss of every other head is masked out.
    """

    inputs: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8]
    tasks: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Course:
    """How a network is trained.

    `epochs` is a ceiling where there are rows to validate on, and exact where there are none. `averaging` is the decay a
    step of the weights' running mean, which is what is validated and kept: it stands in for a falling learning rate and
    needs no last epoch to be known beforehand. All weights but the heads learn at `body_rate` times `learning_rate`, and
    not at all in the first `frozen_epochs`. Of the rows of other tasks than the first, `related_rows` are drawn anew
    for each epoch; all are in it when that is None.
    """

    learning_rate: float
    weight_decay: float
    dropout: float
    averaging: float
    batch_size: int
    epochs: int
    patience: int
    device: str
    num_threads: int
    seed: int
    body_rate: float = 1.0
    frozen_epochs: int = 0
    related_rows: int | None = None


@dataclass(frozen=True)
class Trained:
    """The weights kept, from which epoch, the validation log loss of every epoch, and what ended the training."""

    weights: Weights
    best_iteration: int
    history: list[float]
    ended_by: str


def train(
    weights: Weights, rows: Rows, validating: Rows | None, course: Course, fitting: Fitting, cpu_from: float
) -> Trained:
    """Train `weights` on `rows`; with `validating`, stop when its log loss has not improved for `course.patience` epochs.

    `cpu_from` is the `time.process_time()` from which `fitting.cpu_seconds` count. On a CPU with one thread the result is a
    function of the first four, whether or not the training was cut short in between and taken up from its checkpoint.
    Raises TrainingDiverged.
    """
    with _torch_threads(course.num_threads):
        training = _Training(weights, rows, validating, course, fitting, cpu_from)
        training.take_up()
        return training.run()


class _Training:
    def __init__(
        self, weights: Weights, rows: Rows, validating: Rows | None, course: Course, fitting: Fitting, cpu_from: float
    ) -> None:
        import torch

        self.course, self.fitting, self.cpu_from = course, fitting, cpu_from
        self.device = torch.device(_device(course.device))
        self.fingerprint = _fingerprint(weights, rows, validating, course) if fitting.checkpoints is not None else ""
        self.weights = {name: torch.tensor(part, device=self.device) for name, part in weights.items()}
        self.names = [name for name in weights if name not in STEPS]
        for name in self.names:
            self.weights[name].requires_grad_()
        self.average = {name: self.weights[name].detach().clone() for name in self.names}
        self.kept = {name: part.clone() for name, part in self.average.items()}
        self.optimizer = AdamW({name: self.weights[name] for name in self.names}, course.weight_decay)
        self.dropping = torch.Generator(self.device).manual_seed(course.seed)
        self.others = rows.tasks != 0
        every = int(self.others.sum())
        self.related_rows = every if course.related_rows is None else min(course.related_rows, every)
        self.rows = self._on_device(rows)
        self.validating = None if validating is None else self._on_device(validating)
        self.batch = min(course.batch_size, len(rows.labels) - every + self.related_rows)
        self.epoch, self.next_row = 1, 0
        self.epoch_loss = torch.zeros(1, dtype=torch.float64, device=self.device)
        self.best, self.best_iteration, self.history = float("inf"), 0, list[float]()
        self.saved_at = self.told_at = time.monotonic()
        self.rows_since_told = 0

    def _on_device(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        import torch

        return (
            torch.tensor(rows.inputs, device=self.device),
            torch.tensor(rows.labels, dtype=torch.float32, device=self.device),
            torch.tensor(rows.tasks, device=self.device),
        )

    def run(self) -> Trained:
        ended_by = "rounds"
        while self.epoch <= self.course.epochs:
            train_loss = self._finish_epoch()
            validation_loss = None if self.validating is None else self._validate()
            self._keep(validation_loss)
            self._tell(train_loss, validation_loss)
            self.epoch, self.next_row = self.epoch + 1, 0
            self.epoch_loss.zero_()
            if self.validating is not None and self.epoch - 1 - self.best_iteration >= self.course.patience:
                ended_by = "convergence"
                break
            limit = self.fitting.cpu_seconds
            if self.epoch <= self.course.epochs and limit is not None and self._cpu_seconds() >= limit:
                ended_by = "budget"
                break
        steps = {name: self.weights[name] for name in STEPS}
        arrays = {name: part.cpu().numpy() for name, part in (steps | self.kept).items()}
        return Trained(arrays, self.best_iteration, self.history, ended_by)

    def _finish_epoch(self) -> float:
        """Train from `next_row` to the end of the epoch; the mean loss of all its batches."""
        import torch

        order = np.random.default_rng([self.course.seed, self.epoch]).permutation(len(self.others))
        others = self.others[order]
        order = order[~others | (np.cumsum(others) <= self.related_rows)]
        shuffled = torch.from_numpy(order).to(self.device)
        rates = self._learning_rates()
        # A last, short batch is left out: its noise would weigh as much as a full one's.
        for start in range(self.next_row, len(shuffled) - self.batch + 1, self.batch):
            self._step(shuffled[start : start + self.batch], rates)
            self.next_row = start + self.batch
            self._checkpoint_if_due()
        loss = float(self.epoch_loss) / (len(shuffled) // self.batch)
        self._stop_if_diverged(loss)
        return loss

    def _learning_rates(self) -> dict[str, float]:
        body = 0.0 if self.epoch <= self.course.frozen_epochs else self.course.body_rate
        return {name: self.course.learning_rate * (1.0 if name in HEADS else body) for name in self.names}

    def _step(self, batch: torch.Tensor, rates: dict[str, float]) -> None:
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        inputs, labels, tasks = (part[batch] for part in self.rows)
        every = logits(self.weights, inputs, self._activation)
        own = _own(every, tasks)
        # Each member answers for itself: the loss of their mean would let them lean on one another.
        loss = binary_cross_entropy_with_logits(own, labels.expand_as(own))
        loss.backward()
        self.optimizer.step(rates)
        with torch.no_grad():
            # A young mean forgets faster, or it would remember the start.
            decay = min(self.course.averaging, self.optimizer.steps / (self.optimizer.steps + 10))
            for name, mean in self.average.items():
                mean.lerp_(self.weights[name], 1.0 - decay)
            self.epoch_loss += loss
        self.rows_since_told += len(batch)

    def _activation(self, values: torch.Tensor) -> torch.Tensor:
        import torch

        values = torch.relu(values)
        share = round(self.course.dropout * 256)
        if not share:
            return values
        # A byte decides one value: drawing a float for each would cost as much as the products.
        words = torch.empty(-(-values.numel() // 8), dtype=torch.int64, device=self.device)
        drawn = words.random_(-(2**63), None, generator=self.dropping).view(torch.uint8)
        stays = drawn[: values.numel()].view(values.shape) >= share
        return values * (stays * (256.0 / (256.0 - share)))

    def _validate(self) -> float:
        import torch

        assert self.validating is not None
        inputs, labels, tasks = self.validating
        weights = {**self.weights, **self.average}
        total = 0.0
        with torch.no_grad():
            for start in range(0, len(labels), VALIDATE_ROWS):
                part = slice(start, start + VALIDATE_ROWS)
                own = _own(logits(weights, inputs[part], torch.relu), tasks[part])
                positive = torch.sigmoid(own.double()).mean(0)
                right = torch.where(labels[part] == 1, positive, 1.0 - positive)
                total -= float(right.log().clamp(min=-100.0).sum())
        loss = total / len(labels)
        self._stop_if_diverged(loss)
        self.history.append(loss)
        return loss

    def _keep(self, validation_loss: float | None) -> None:
        if validation_loss is None or validation_loss < self.best - 1e-5:
            self.best_iteration = self.epoch
            self.best = self.best if validation_loss is None else validation_loss
            self.kept = {name: part.clone() for name, part in self.average.items()}

    def _stop_if_diverged(self, loss: float) -> None:
        if not loss < DIVERGED:
            raise TrainingDiverged(
                f"The network's loss became {loss:.4g} in epoch {self.epoch}: "
                f"lower learning_rate (now {self.course.learning_rate})."
            )

    def _tell(self, train_loss: float, validation_loss: float | None) -> None:
        now = time.monotonic()
        rate = self.rows_since_told / max(now - self.told_at, 1e-9)
        self.told_at, self.rows_since_told = now, 0
        if self.fitting.report is not None:
            self.fitting.report(Progress(self.epoch, self.course.learning_rate, train_loss, validation_loss, rate))

    def _cpu_seconds(self) -> float:
        return time.process_time() - self.cpu_from

    def _checkpoint_if_due(self) -> None:
        checkpoints = self.fitting.checkpoints
        if checkpoints is None or time.monotonic() - self.saved_at < self.fitting.checkpoint_seconds:
            return
        checkpoints.save(self._state())
        self.saved_at = time.monotonic()

    def _state(self) -> bytes:
        arrays = {"dropping": self.dropping.get_state(), "epoch_loss": self.epoch_loss}
        for kind, parts in self._kinds().items():
            arrays |= {f"{kind}/{name}": parts[name] for name in self.names}
        values = {
            "fingerprint": self.fingerprint,
            "epoch": self.epoch,
            "next_row": self.next_row,
            "steps": self.optimizer.steps,
            "best": self.best if self.history else None,
            "best_iteration": self.best_iteration,
            "history": self.history,
            "cpu_seconds": self._cpu_seconds(),
        }
        return checkpoint.pack({name: part.detach().cpu().numpy() for name, part in arrays.items()}, values)

    def _kinds(self) -> dict[str, dict[str, torch.Tensor]]:
        """Everything that holds a tensor for each weight."""
        of_optimizer = {"first": self.optimizer.first, "second": self.optimizer.second}
        return {"weights": self.weights, "average": self.average, "kept": self.kept, **of_optimizer}

    def take_up(self) -> None:
        """Go on from the checkpoint of the same fit, if there is one."""
        state = checkpoint.take_up(self.fitting.checkpoints, self.fingerprint)
        if state is not None:
            self._restore(*state)

    def _restore(self, arrays: checkpoint.Arrays, values: dict[str, Any]) -> None:
        import torch

        tensors = {name: torch.tensor(part, device=self.device) for name, part in arrays.items()}
        self.dropping.set_state(tensors["dropping"].cpu())
        self.epoch_loss = tensors["epoch_loss"]
        with torch.no_grad():
            for kind, parts in self._kinds().items():
                for name in self.names:
                    parts[name].copy_(tensors[f"{kind}/{name}"])
        self.optimizer.steps = values["steps"]
        self.epoch, self.next_row = values["epoch"], values["next_row"]
        self.best = float("inf") if values["best"] is None else values["best"]
        self.best_iteration, self.history = values["best_iteration"], values["history"]
        self.cpu_from -= values["cpu_seconds"]


def _own(every: torch.Tensor, tasks: torch.Tensor) -> torch.Tensor:
    """Of log-odds (members, n, tasks), those of the task that each row has a label for: (members, n)."""
    return every.gather(2, tasks.expand(len(every), -1).unsqueeze(2)).squeeze(2)


def _fingerprint(weights: Weights, rows: Rows, validating: Rows | None, course: Course) -> str:
    parts = [rows] if validating is None else [rows, validating]
    arrays = (one for part in parts for one in (part.inputs, part.labels, part.tasks))
    return checkpoint.fingerprint(repr(course), *weights.values(), *arrays)


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted not in ("cpu", "cuda"):
        raise ValueError(f'device is "{wanted}"; give "auto", "cpu" or "cuda".')
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError('device is "cuda", but torch finds no CUDA device here; give "auto" or "cpu".')
    return wanted


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
