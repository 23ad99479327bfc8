"""From the files of an export to verified Parquet aside: a copy, then one look at what was written.

Belongs here: DuckDB's statements for that, by format. Does not belong here: what is done with what they say (`staging`).
"""
