"""The "network" family: a small multilayer perceptron, fitted by torch and predicting by numpy.

Belongs here: everything that touches torch, and the network's forward pass. Does not belong here: folds,
ensembles, calibration. Predicting needs two small matrix products a row, so a process that only scores never
loads torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.preprocessing import TablePreprocessor
from platform_assets.learning.folds import inner_validation

WEIGHTS_FILE = "weights.safetensors"
PREDICT_ROWS = 1024
Layers = list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]


class TrainingDiverged(RuntimeError):
    """The loss stopped being a number while fitting; the message names the epoch and what to change."""


class NetworkClassifier(TableClassifier):
    """`hidden_layers` ReLU layers of `hidden_width` on a `TablePreprocessor`'s columns, by AdamW on log loss.

    Fitting stops when the log loss of the inner validation part (`validation_fraction` of the entities, or of
    the rows without groups) has not improved for `patience` epochs, and keeps the best epoch. Where too few
    rows could be held out, exactly `unvalidated_epochs` are run on all rows. A batch is `batch_size` rows,
    fewer for small tables so that an epoch has about 16 steps. `device` is "auto" (CUDA when torch finds it),
    "cpu" or "cuda"; on a CPU the same rows and parameters give the same weights.

    Rows are predicted in zero-padded batches of one fixed shape on one thread: a row's float32 result does
    not depend on which rows come with it.
    """

    preprocessor_: TablePreprocessor
    layers_: Layers

    def __init__(
        self,
        hidden_width: int = 32,
        hidden_layers: int = 2,
        dropout: float = 0.0,
        learning_rate: float = 0.004,
        weight_decay: float = 0.01,
        batch_size: int = 2048,
        max_epochs: int = 100,
        patience: int = 4,
        unvalidated_epochs: int = 10,
        validation_fraction: float = 0.15,
        device: str = "auto",
        num_threads: int = 1,
        random_state: int = 0,
    ) -> None:
        self.hidden_width = hidden_width
        self.hidden_layers = hidden_layers
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.unvalidated_epochs = unvalidated_epochs
        self.validation_fraction = validation_fraction
        self.device = device
        self.num_threads = num_threads
        self.random_state = random_state

    def _fit(self, X: Floats, y: npt.NDArray[np.int8], groups: npt.ArrayLike | None, fitting: Fitting) -> None:
        held_out = inner_validation(y, groups, self.validation_fraction, self.random_state)
        fitting = np.ones(len(y), dtype=bool) if held_out is None else ~held_out
        self.preprocessor_ = TablePreprocessor().fit(X[fitting])
        inputs = self.preprocessor_.transform(X[fitting]).astype(np.float32)
        validating = None
        if held_out is not None:
            validating = (self.preprocessor_.transform(X[held_out]).astype(np.float32), y[held_out])
        with _torch_threads(self.num_threads):
            self.layers_ = self._train(inputs, y[fitting], validating)

    def _train(
        self,
        inputs: npt.NDArray[np.float32],
        y: npt.NDArray[np.int8],
        validating: tuple[npt.NDArray[np.float32], npt.NDArray[np.int8]] | None,
    ) -> Layers:
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits as loss_of

        device = torch.device(_device(self.device))
        generator = np.random.default_rng(self.random_state)
        drawn = torch.Generator(device).manual_seed(self.random_state)
        weights = [
            torch.tensor(part, device=device, requires_grad=True)
            for layer in self._initial_layers(inputs.shape[1], float(y.mean()), generator)
            for part in layer
        ]

        def logits(x: torch.Tensor, dropout: float) -> torch.Tensor:
            for position in range(0, len(weights) - 2, 2):
                x = torch.relu(torch.addmm(weights[position + 1], x, weights[position]))
                if dropout:
                    x = x * (torch.rand(x.shape, generator=drawn, device=device) >= dropout) / (1 - dropout)
            return torch.addmm(weights[-1], x, weights[-2]).squeeze(1)

        optimizer = torch.optim.AdamW(weights, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)
        features, target = (
            torch.tensor(inputs, device=device),
            torch.tensor(y, dtype=torch.float32, device=device),
        )
        if validating is not None:
            seen = torch.tensor(validating[0], device=device)
            wanted = torch.tensor(validating[1], dtype=torch.float64, device=device)
        batch = min(self.batch_size, max(32, len(y) // 16))
        kept, best = [part.detach().clone() for part in weights], float("inf")
        for epoch in range(1, (self.max_epochs if validating is not None else self.unvalidated_epochs) + 1):
            order = torch.from_numpy(generator.permutation(len(y))).to(device)
            # A last, short batch is left out: its noise would weigh as much as a full one's.
            for start in range(0, max(len(y) - batch, 0) + 1, batch):
                rows = order[start : start + batch]
                loss = loss_of(logits(features[rows], self.dropout), target[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            self._stop_if_not_finite(float(loss.detach()), epoch)
            if validating is None:
                self.best_iteration_ = epoch
                kept = [part.detach().clone() for part in weights]
                continue
            with torch.no_grad():
                current = float(loss_of(logits(seen, 0.0).double(), wanted))
            self._stop_if_not_finite(current, epoch)
            self.history_.append(current)
            if current < best - 1e-5:
                best, self.best_iteration_ = current, epoch
                kept = [part.detach().clone() for part in weights]
            elif epoch - self.best_iteration_ >= self.patience:
                break
        arrays = [part.cpu().numpy() for part in kept]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def _initial_layers(self, width: int, base_rate: float, generator: np.random.Generator) -> Layers:
        sizes = [width, *[self.hidden_width] * self.hidden_layers, 1]
        layers: Layers = []
        for before, after in pairwise(sizes):
            bound = 1 / np.sqrt(before)
            weight = generator.uniform(-bound, bound, (before, after)).astype(np.float32)
            layers.append((weight, generator.uniform(-bound, bound, after).astype(np.float32)))
        # Starting at the base rate saves the epochs that would only learn it.
        layers[-1] = (layers[-1][0], np.asarray([np.log(base_rate / (1 - base_rate))], dtype=np.float32))
        return layers

    def _stop_if_not_finite(self, loss: float, epoch: int) -> None:
        if not np.isfinite(loss):
            raise TrainingDiverged(
                f"The network's loss became {loss} in epoch {epoch}: lower learning_rate (now {self.learning_rate})."
            )

    def positive_probability(self, X: Floats) -> Floats:
        inputs = self.preprocessor_.transform(X)
        logits = np.empty(len(X), dtype=np.float64)
        padded = np.zeros((PREDICT_ROWS, inputs.shape[1]), dtype=np.float32)
        with threadpool_limits(1, user_api="blas"):
            for start in range(0, len(X), PREDICT_ROWS):
                rows = min(PREDICT_ROWS, len(X) - start)
                padded[:rows] = inputs[start : start + rows]
                padded[rows:] = 0.0
                values = padded
                for weight, bias in self.layers_[:-1]:
                    values = np.maximum(values @ weight + bias, 0.0)
                weight, bias = self.layers_[-1]
                logits[start : start + rows] = (values @ weight + bias)[:rows, 0]
        return expit(logits)

    def _write(self, folder: Path) -> dict[str, Any]:
        from safetensors.numpy import save_file

        named = {}
        for position, (weight, bias) in enumerate(self.layers_):
            named[f"weight_{position}"], named[f"bias_{position}"] = weight, bias
        save_file({name: np.ascontiguousarray(part) for name, part in named.items()}, folder / WEIGHTS_FILE)
        return {"preprocessor": self.preprocessor_.to_json()}

    def _read(self, folder: Path, fitted: dict[str, Any]) -> None:
        from safetensors.numpy import load_file

        named = load_file(folder / WEIGHTS_FILE)
        self.layers_ = [(named[f"weight_{i}"], named[f"bias_{i}"]) for i in range(len(named) // 2)]
        self.preprocessor_ = TablePreprocessor.from_json(fitted["preprocessor"])


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
