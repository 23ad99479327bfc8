"""AWS exports as they lie in the lake: manifests, layouts, and what holds of a table that may be loaded.

Belongs here: what a source declares, the manifests of Aurora snapshot exports and DynamoDB exports, which of these form a chain,
checksums, counts and keys. Does not belong here: how an engine loads them (`engines`), typing of values (dbt staging), and writing exports
(the samples).
"""
