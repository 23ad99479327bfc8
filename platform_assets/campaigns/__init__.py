"""A campaign: one question about people, stated in YAML, and everything needed to train its promoted model.

Belongs here: the specification and its checks, as-of dates and populations, labels and teacher files, training sets,
and how folds, ensemble and promotion gate of one campaign are wired. Does not belong here: how models learn
(`learning`), how features are computed (`features`), what is done with scores (`audiences`).
"""
