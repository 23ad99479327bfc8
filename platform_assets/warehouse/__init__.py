"""The published marts: what they are, which version is current, and how they are read and written.

Belongs here: the catalog of marts and entities, the pointer to their published versions, readers, and the
copy out of the dbt database. Does not belong here: how marts are made (`transform`), features, campaigns.
"""
