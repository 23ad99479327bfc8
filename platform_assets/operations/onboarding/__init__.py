"""A source from its export: what its tables and columns are, proposed with reasons, and the files that declare it.

Belongs here: reading an export once to find types, keys and roles; proposing; and writing the declaration, the dbt sources,
staging models and marts of a source. Does not belong here: how exports are read (`data.exports`, `data.engines`), and asking
people (`cli`). It is operations' because it reads with the engine and the exports' layouts and writes what all rooms below
only read; nothing that runs later depends on it.
"""
