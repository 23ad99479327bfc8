"""Scores of all campaigns of an entity as of one date, in one pass or in shards.

Belongs here: scoring with promoted models, the plan and fan-in of shards, their Dagster face. Does not belong here:
choosing people (`audience`).
"""
