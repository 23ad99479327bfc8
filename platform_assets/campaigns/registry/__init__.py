"""Promoted models: which there are, from when on each is good, what they hold, and what later campaigns take from them.

Belongs here: the record of promotions, the bundles of an ensemble, and what earlier campaigns know. Does not belong here:
who is promoted (`promotion`), or how a bundle predicts (`learning`).
"""
