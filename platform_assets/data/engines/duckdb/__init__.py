"""The embedded engine: raw tables and marts as Parquet in folders, read and written by DuckDB.

Belongs here: everything that talks to DuckDB outside of dbt. Does not belong here: what is asked of it.
"""
