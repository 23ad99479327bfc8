"""From an export to audited features.

Belongs here, ground up: what a table must satisfy (`quality`), what marts and entities there are and which version is
current (`catalog`), AWS exports (`exports`), DuckDB and BigQuery behind one interface (`engines`), raw tables (`raw`), the
dbt project (`marts`), and feature tables (`features`). Does not belong here: labels, models, campaigns.
"""
