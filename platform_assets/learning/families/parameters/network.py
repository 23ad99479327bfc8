"""Parameters of the "network" family."""

from dataclasses import dataclass


@dataclass(eq=False, repr=False)
class Parameters:
    """The constructor of `NetworkClassifier`."""

    hidden_width: int = 32
    hidden_layers: int = 2
    members: int = 8
    bins: int = 16
    dropout: float = 0.0
    learning_rate: float = 0.008
    weight_decay: float = 0.01
    averaging: float = 0.99
    batch_size: int = 512
    max_epochs: int = 100
    patience: int = 4
    unvalidated_epochs: int = 10
    validation_fraction: float = 0.15
    device: str = "auto"
    num_threads: int = 1
    random_state: int = 0
