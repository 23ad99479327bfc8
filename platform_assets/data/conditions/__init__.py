"""The one small grammar in which people state conditions on rows of marts, in campaign files and in feature files.

Belongs here: parsing, checking against the catalog, and what a checked condition comes to as an Ibis expression. Does not
belong here: which key of which file takes a condition, or reading marts.
"""
