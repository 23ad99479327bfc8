"""Parameters of the "transfer" family."""

from dataclasses import dataclass

from platform_assets.learning.families.parameters import network


@dataclass(eq=False, repr=False)
class Parameters(network.Parameters):
    """The constructor of `TransferClassifier`: a network's, with dropout on."""

    dropout: float = 0.1
    body_rate: float = 0.3
    frozen_epochs: int = 2
