"""Parameters of the "logistic" family."""

from dataclasses import dataclass


@dataclass(eq=False, repr=False)
class Parameters:
    """The constructor of `LogisticClassifier`."""

    C: float = 1.0
    random_state: int = 0
