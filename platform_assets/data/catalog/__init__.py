"""What marts and entities there are, and which version of each mart is current.

Belongs here: what the dbt project declares, and the pointer to published versions. Does not belong here: an engine, how
marts are made (`marts`), or how their rows are read (`engines`). Definitions load this room.
"""
