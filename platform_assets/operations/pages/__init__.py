"""Pages that open: reports, model cards and data docs over HTTP, and an index of campaigns; nothing is written.

Belongs here: which files are served, the index over them, and the server. Does not belong here: making any page that is
served, and links to them (assets make those, by `Environment.page_url`).
"""
