"""Reading AWS exports: from manifests and data files in the lake to verified raw tables.

Belongs here: what a source declares, the manifests of Aurora snapshot exports and DynamoDB full exports,
checksums, counts, keys, and the raw tables they become, as Parquet in a folder or in BigQuery. Does not
belong here: typing and cleaning of values (dbt staging), and writing exports (the samples).
"""
