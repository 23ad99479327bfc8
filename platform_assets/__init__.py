"""An audience platform on Dagster: AWS exports in, scored audiences out, from one YAML file a campaign.

Nothing is imported here: every room is imported by its own name, so that a process pays only for what it uses.
"""
