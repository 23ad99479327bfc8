"""The learning library's quality on real tables, against AutoGluon on the same rows: see README.md here.

Belongs here: data sets, splits, the cells of the comparison, their kept predictions, the figures made of them. Does not
belong here: anything the platform itself uses.
"""
