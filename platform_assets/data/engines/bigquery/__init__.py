"""BigQuery: the connection, reading published marts, publishing them, and replacing slices of tables.

Belongs here: everything that talks to BigQuery. Does not belong here: what is asked of it. Google's clients are imported
only inside functions: definitions load without them.
"""
