"""Reading an export once, whole: where it is, which columns its tables have, of which types, with which figures.

Belongs here: everything that looks at rows. Does not belong here: what tables and columns mean (`proposing`, `roles`).
"""
