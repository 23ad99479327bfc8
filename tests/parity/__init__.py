"""The same platform, the same answers: everything once on DuckDB and a folder, once on BigQuery and a bucket, compared."""
