"""The dbt project on BigQuery, through the real adapter: what the same project on DuckDB cannot show."""
