"""Labels joined to features as of the same times.

Belongs here: the calendar of a campaign, its population, labels from events and from teacher files, the training set, and
what is looked at before anything is trained. Does not belong here: models, and what features mean (`data.features`).
"""
