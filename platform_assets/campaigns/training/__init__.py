"""From a training set to an ensemble: K folds a model, the fan-in, weights, calibration, and what they are worth.

Belongs here: which models a campaign tries, its fold artifacts, the ensemble artifact, and their Dagster faces. Does not
belong here: how models learn (`learning`), and who may replace the champion (`promotion`).
"""
