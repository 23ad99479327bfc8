"""Learning: scikit-learn style estimators, folds, ensembles, calibration, metrics, bundles and explanations.

Belongs here: what turns arrays and data frames into estimators, scores and figures about them.
Does not belong here: where rows come from, what a label means, campaigns, orchestration, warehouses.
Nothing is imported at this level, so that naming one module never loads another's libraries.
"""
