"""What everything stands on: whole files, the content-addressed store, where steps run, and Dagster's private names.

Belongs here: rooms that know no data and no campaign. Does not belong here: anything about marts, features or people.
"""
