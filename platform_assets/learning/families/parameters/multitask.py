"""Parameters of the "multitask" family."""

from dataclasses import dataclass

from platform_assets.learning.families.parameters import network


@dataclass(eq=False, repr=False)
class Parameters(network.Parameters):
    """The constructor of `MultitaskClassifier`: a network's, with dropout on."""

    dropout: float = 0.1
    related_rows: float = 2.0
