"""Raw tables as assets: which exports there are, and loading those that are not loaded yet.

Belongs here: listing exports, the choice of what to load, and the Dagster face of it. Does not belong here: formats
(`exports`), and how an engine keeps what is loaded (`engines`).
"""
