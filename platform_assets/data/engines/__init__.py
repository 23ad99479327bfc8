"""DuckDB and BigQuery behind one interface: raw tables, reading marts, writing their versions.

Belongs here: the interface (`engine`) and its parts (`raw_tables`, `reading`, `versions`, `dbt_project`), the one place that
chooses (`opening`), and the two engines, `duckdb/` and `bigquery/`, with files of the same names. Does not belong here: which exports there are (`raw`), what
is built (`marts`), or what is asked of marts (`features` and above).
"""
