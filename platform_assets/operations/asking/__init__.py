"""One question from exports to its report: what of it is stale, and the runs that answer it.

Belongs here: looking at a campaign's steps in their order, and Dagster runs from a terminal. Does not belong here: any step.
"""
