"""Exports of another cloud, brought below the exports root: each object crosses once, ever.

Belongs here: S3 and who asks it, what of a prefix is wanted, the ledger of what has crossed, and crossing in parts. Does
not belong here: what an export means (`exports`), loading it (`raw`), and small files in general (`foundation.storage`).
"""
