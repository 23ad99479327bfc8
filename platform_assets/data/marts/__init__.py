"""The dbt project as assets: raw tables become staging views, then tested and published marts.

Belongs here: what dbt's manifest says, running dbt, the decision to publish, and the Dagster face of it. Does
not belong here: the SQL itself (`dbt_project`), how published marts are stored and read (`engines`).
"""
