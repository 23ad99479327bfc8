"""The learning library's quality on real tables, against AutoGluon on the same rows: see README.md here.

Belongs here: data sets, splits, the cells of the comparison, the figures made of their predictions. Does not
belong here: anything the platform itself uses.
"""
