"""Everything that the platform takes from Dagster's private modules: nothing else here imports one.

Belongs here: names that Dagster does not export, apart by what importing them costs (`core`: nothing beside `dagster`;
`storage`: SQLAlchemy; `on_kubernetes`: kubernetes), and what is done to Dagster that it has no call for. Does not belong
here: what the platform makes of them. An upgrade of Dagster is held to `tests/foundation/test_dagster_internals.py`, which
says what each use stands on and whose it is.
"""
