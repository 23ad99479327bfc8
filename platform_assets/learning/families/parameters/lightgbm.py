"""Parameters of the "lightgbm" family."""

from dataclasses import dataclass


@dataclass(eq=False, repr=False)
class Parameters:
    """The constructor of `LightGBMClassifier`."""

    learning_rate: float = 0.06
    num_leaves: int = 8
    extra_trees: bool = False
    min_data_in_leaf: int = 20
    feature_fraction: float = 0.5
    bagging_fraction: float = 0.7
    lambda_l2: float = 1.0
    max_bin: int = 255
    max_iterations: int = 2000
    early_stopping_rounds: int = 40
    unvalidated_iterations: int = 100
    validation_fraction: float = 0.1
    num_threads: int = 1
    random_state: int = 0
