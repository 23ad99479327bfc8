"""The "lightgbm" family: gradient boosted trees, slow and small, stopped on an inner validation part.

Belongs here: everything that touches LightGBM. Does not belong here: predicting with small trees (`trees`), choosing
features, folds, ensembles, calibration.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from platform_assets.learning.families import checkpoint
from platform_assets.learning.families.estimator import Floats, TableClassifier
from platform_assets.learning.families.fitting import CannotFit, Checkpoints, Fitting, Progress
from platform_assets.learning.families.parameters.lightgbm import Parameters
from platform_assets.learning.families.trees import MOST_LEAVES, SmallTrees
from platform_assets.learning.folds import inner_validation

if TYPE_CHECKING:
    from lightgbm import Booster, Dataset

BOOSTER_FILE = "booster.txt"
SEGMENT_ROUNDS = 50
REPORT_ROUNDS = 10
PROBABILITY_FLOOR = 1e-15
# Parameters that LightGBM is not told of.
OURS = ("max_iterations", "early_stopping_rounds", "unvalidated_iterations", "validation_fraction", "random_state")


class LightGBMClassifier(TableClassifier, Parameters):
    """LightGBM on binary log loss; the same rows, parameters and thread count give the same trees.

    `max_iterations` is a ceiling: fitting stops when the log loss of the inner validation part
    (`validation_fraction` of the entities, or of the rows without groups) has not improved for
    `early_stopping_rounds`, and keeps the best round. Where too few rows could be held out,
    `unvalidated_iterations` are fitted on all rows, fewer when no split is left. The remaining parameters are
    LightGBM's own, by its names; CannotFit says what LightGBM refuses.

    Rounds come in segments of 50, each a booster of its own that starts from the scores reached and draws its random
    numbers from the seed and the segment's number; the trees are joined afterwards. A fit taken up from the state kept
    after a segment therefore gives the trees of an undisturbed one.
    """

    text_: str
    small_trees_: SmallTrees | None

    @cached_property
    def booster_(self) -> Booster:
        """The fitted trees as LightGBM's own object, for what only LightGBM does: TreeSHAP, say."""
        import lightgbm

        return lightgbm.Booster(model_str=self.text_)

    @property
    def gain_(self) -> Floats:
        """Training loss that splits on each column took away, in total (d,)."""
        return np.asarray(self.booster_.feature_importance("gain"), dtype=np.float64)

    def _fit(self, X: Floats, y: npt.NDArray[np.int8], groups: npt.ArrayLike | None, fitting: Fitting) -> None:
        started = time.process_time()
        held_out = None
        if fitting.rounds is None:
            held_out = inner_validation(y, groups, self.validation_fraction, self.random_state)
        ceiling = self.max_iterations
        if held_out is None:
            ceiling = self.unvalidated_iterations if fitting.rounds is None else fitting.rounds
        rounds = (ceiling, self.early_stopping_rounds)
        with _refusals_told():
            boosting = _Boosting(self._settings(), self.random_state, X, y, held_out, rounds, fitting)
            self.ended_by_ = boosting.run(started)
            text, self.best_iteration_ = boosting.joined()
        self.history_ = boosting.reached.history
        self._take_trees(text)

    def _settings(self) -> dict[str, Any]:
        return {
            "objective": "binary",
            "metric": "binary_logloss",
            "bagging_freq": 1,
            **{name: value for name, value in self.get_params(deep=False).items() if name not in OURS},
            "data_random_seed": self.random_state,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def positive_probability(self, X: Floats) -> Floats:
        if self.small_trees_ is None:
            return np.asarray(self.booster_.predict(X, num_threads=self.num_threads), dtype=np.float64)
        return np.asarray(expit(self.small_trees_(X)), dtype=np.float64)

    def _write(self, folder: Path) -> dict[str, Any]:
        (folder / BOOSTER_FILE).write_text(self.text_)
        return {}

    def _read(self, folder: Path, fitted: dict[str, Any]) -> None:
        text = (folder / BOOSTER_FILE).read_text()
        # A text cut short is a model of fewer trees.
        if "\nend of trees\n" not in text:
            raise ValueError(f"{folder / BOOSTER_FILE} is cut short")
        self._take_trees(text)

    def _take_trees(self, text: str) -> None:
        self.text_ = text
        self.__dict__.pop("booster_", None)
        self.small_trees_ = SmallTrees(text) if self.num_leaves <= MOST_LEAVES else None


@contextmanager
def _refusals_told() -> Iterator[None]:
    """Turns LightGBM's refusals into CannotFit; a lack of memory, which another attempt may not meet, stays an error."""
    from lightgbm.basic import LightGBMError

    try:
        yield
    except LightGBMError as error:
        if "alloc" in str(error):
            raise
        raise CannotFit(f"LightGBM refuses these rows with these parameters: {error}") from error


@dataclass
class _Reached:
    """How far boosting has come at the end of a segment: everything the next segment depends on.

    `texts` are the segments' models, `trees` their number of trees, `scores` the log-odds of training and validation rows.
    """

    texts: list[str] = field(default_factory=list)
    trees: int = 0
    history: list[float] = field(default_factory=list)
    best: int = 0
    scores: list[Floats] = field(default_factory=list)
    cpu_seconds: float = 0.0

    def to_bytes(self, fingerprint: str) -> bytes:
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "scores"}
        arrays = {f"scores_{part}": values for part, values in enumerate(self.scores)}
        return checkpoint.pack(arrays, plain | {"fingerprint": fingerprint})

    @classmethod
    def taken_up(cls, checkpoints: Checkpoints, fingerprint: str) -> Self:
        """What `to_bytes` kept of the same fit, or the start."""
        state = checkpoint.take_up(checkpoints, fingerprint)
        if state is None:
            return cls()
        arrays, plain = state
        return cls(**plain, scores=[arrays[name] for name in sorted(arrays)])


class _Boosting:
    """One fit, a segment of rounds at a time."""

    def __init__(
        self,
        settings: dict[str, Any],
        seed: int,
        X: Floats,
        y: npt.NDArray[np.int8],
        held_out: npt.NDArray[np.bool_] | None,
        rounds: tuple[int, int],
        fitting: Fitting,
    ) -> None:
        import lightgbm

        self.settings, self.seed, self.fitting = settings, seed, fitting
        # At most so many, and so many without a better validation loss.
        self.ceiling, self.patience = rounds
        trained = np.ones(len(y), dtype=bool) if held_out is None else ~held_out
        self.labels = [y[trained]] if held_out is None else [y[trained], y[held_out]]
        self.data: list[Dataset] = [lightgbm.Dataset(X[trained], y[trained])]
        if held_out is not None:
            self.data.append(lightgbm.Dataset(X[held_out], y[held_out], reference=self.data[0]))
        self.reached = _Reached()
        if fitting.checkpoints is not None:
            described = json.dumps([settings, seed, rounds, SEGMENT_ROUNDS], sort_keys=True)
            self.fingerprint = checkpoint.fingerprint(described, X, y, trained)
            self.reached = _Reached.taken_up(fitting.checkpoints, self.fingerprint)

    def run(self, started: float) -> str:
        """Boost until the validation loss, the ceiling or the budget ends it; returns which (`ended_by_`).

        `started` is the process's CPU time when the fit began, which is where the budget counts from.
        """
        reached, limit, kept_at = self.reached, self.fitting.cpu_seconds, time.monotonic()
        before = reached.cpu_seconds
        while True:
            ended = self._segment(None if limit is None else started + limit - before)
            reached.cpu_seconds = before + time.process_time() - started
            if ended is not None:
                return ended
            if self.fitting.checkpoints and time.monotonic() - kept_at >= self.fitting.checkpoint_seconds:
                self.fitting.checkpoints.save(reached.to_bytes(self.fingerprint))
                kept_at = time.monotonic()

    def _segment(self, deadline: float | None) -> str | None:
        """The rounds of one segment; returns what ended the fit in it, if anything did."""
        import lightgbm

        reached, grew = self.reached, False
        for data, scores in zip(self.data, reached.scores, strict=False):
            data.set_init_score(scores)
        booster = lightgbm.Booster({**self.settings, **_seeds(self.seed, len(reached.texts))}, self.data[0])
        for data in self.data[1:]:
            booster.add_valid(data, "validation")
        before, reported = reached.trees, (reached.trees, time.monotonic())
        ended = None
        for _ in range(SEGMENT_ROUNDS):
            grew |= not booster.update()
            if before + booster.current_iteration() > reached.trees:
                reached.trees += 1
                ended = self._judge(booster)
                if self.fitting.report and reached.trees % REPORT_ROUNDS == 0:
                    reported = self._tell(booster, *reported)
            if ended is None and deadline is not None and time.process_time() >= deadline:
                ended = "budget"
            if ended is not None:
                break
        reached.texts.append(booster.model_to_string())
        reached.scores = [np.asarray(logit(one), dtype=np.float64) for one in _probabilities(booster, len(self.data))]
        # Nothing left to split in a whole segment of drawn rows and columns: further ones would add nothing.
        return ended if grew or ended is not None else "convergence"

    def _judge(self, booster: Booster) -> str | None:
        """Note the validation loss after a tree; returns what ends the fit here, if anything does."""
        reached = self.reached
        if len(self.data) > 1:
            reached.history.append(float(booster.eval_valid()[0][2]))
            if reached.best == 0 or reached.history[-1] < reached.history[reached.best - 1]:
                reached.best = reached.trees
            elif reached.trees - reached.best >= self.patience:
                return "convergence"
        return "rounds" if reached.trees >= self.ceiling else None

    def _tell(self, booster: Booster, trees: int, at: float) -> tuple[int, float]:
        """Report progress since `trees` trees at wall time `at`; returns the two as of now."""
        now, reached, labels = time.monotonic(), self.reached, self.labels[0]
        probabilities = _probabilities(booster, 1)[0]
        assert self.fitting.report is not None
        self.fitting.report(
            Progress(
                round=reached.trees,
                learning_rate=self.settings["learning_rate"],
                train_loss=float(-np.log(np.where(labels == 1, probabilities, 1 - probabilities)).mean()),
                validation_loss=reached.history[-1] if reached.history else None,
                rows_per_second=len(labels) * (reached.trees - trees) / max(now - at, 1e-9),
            )
        )
        return reached.trees, now

    def joined(self) -> tuple[str, int]:
        """The text of the trees to keep as one model, and their number."""
        import lightgbm

        reached = self.reached
        kept = reached.best if len(self.data) > 1 else reached.trees
        return lightgbm.Booster(model_str=_join(reached.texts)).model_to_string(num_iteration=kept), kept


def _seeds(seed: int, segment: int) -> dict[str, int]:
    """What LightGBM draws rows, columns and thresholds by in one segment."""
    drawn = np.random.SeedSequence([seed % 2**32, segment]).generate_state(3) >> 1
    names = ("bagging_seed", "feature_fraction_seed", "extra_seed")
    return dict(zip(names, drawn.tolist(), strict=True))


def _probabilities(booster: Booster, parts: int) -> list[Floats]:
    """What a booster predicts for the rows it trains on, then, of two parts, for the validation rows; it knows already."""
    kept: list[Floats] = []

    def keep(raw: Floats, _: Dataset) -> tuple[str, float, bool]:
        kept.append(np.clip(raw, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR))
        return "kept", 0.0, True

    booster.eval_train(keep)
    if parts > 1:
        booster.eval_valid(keep)
    return kept


def _join(texts: list[str]) -> str:
    """One LightGBM model text of the trees of several, in order; what is stated about single trees' sizes is left out."""
    head = re.sub(r"(?m)^tree_sizes=.*\n", "", texts[0][: texts[0].index("Tree=0\n")])
    trees = "".join(text[text.index("Tree=0\n") : text.index("end of trees")] for text in texts)
    numbers = itertools.count()
    return head + re.sub(r"(?m)^Tree=\d+$", lambda _: f"Tree={next(numbers)}", trees) + "end of trees\n"
