"""One file a feature group: adding a file adds the group, to every campaign of its entity, with no other edit.

A file here declares `GROUP = FeatureGroup(...)` and its build function, an Ibis expression over marts. Ibis
is imported inside functions only. Does not belong here: anything that two groups share (windows.py has it).
"""
