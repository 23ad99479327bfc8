"""The "transfer" family: a network that starts from a pre-trained body and is fine-tuned to its table.

Belongs here: how fine-tuning differs from training from scratch. Does not belong here: training or reading the body
(`body`), the network (`network`), the loop (`training`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from platform_assets.learning.families.estimator import Floats
from platform_assets.learning.families.fitting import Fitting
from platform_assets.learning.families.networks.architecture import Weights
from platform_assets.learning.families.networks.body import Body, BodyDoesNotFit
from platform_assets.learning.families.networks.network import NetworkClassifier
from platform_assets.learning.families.networks.training import Course, Rows
from platform_assets.learning.families.parameters.transfer import Parameters
from platform_assets.learning.families.preprocessing import TablePreprocessor


class TransferClassifier(NetworkClassifier, Parameters):
    """`NetworkClassifier` that starts from `Fitting.body` with a fresh head; without a body, from scratch.

    The head alone learns in the first `frozen_epochs`; then the body learns too, at `body_rate` times `learning_rate`
    (gradual unfreezing: Howard and Ruder 2018, "Universal language model fine-tuning"). Columns are matched to the body's by
    name, so the table has to be a data frame. The body brings its own `hidden_width`, `hidden_layers` and `members`; the
    other parameters are those of `NetworkClassifier`; `dropout` is on, because own labels are few where a body helps.
    """

    def _start(self, X: Floats, base_rates: Sequence[float], fitting: Fitting) -> tuple[TablePreprocessor, Weights]:
        if fitting.body is None:
            return super()._start(X, base_rates, fitting)
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            raise BodyDoesNotFit("A body's columns are matched by name: give X as a data frame with named columns.")
        generator = np.random.default_rng(self.random_state)
        return Body.load(fitting.body).under([str(name) for name in names], X, self.bins, base_rates, generator)

    def _course(self, rows: Rows, validating: Rows | None, fitting: Fitting) -> Course:
        course = super()._course(rows, validating, fitting)
        if fitting.body is None:
            return course
        return replace(course, body_rate=self.body_rate, frozen_epochs=self.frozen_epochs)
