"""Features of people, known at a moment: what each (person, as-of) row knew strictly before its as-of instant.

Belongs here: feature groups (one file a group, in groups/), the spine they are asked for, windows over events, cached
and audited feature tables, their assets. Does not belong here: labels, training sets, models, or how marts are made.
"""
