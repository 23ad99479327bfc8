"""Rows of an export that cannot be used: which they are, why, and the export without them.

Belongs here: judging rows one by one after an engine refused a table as a whole, whichever engine it is, and what is kept of
those that are left out. Does not belong here: loading the rest (`engines`), and what whole tables and files must be (`verification`).
"""
