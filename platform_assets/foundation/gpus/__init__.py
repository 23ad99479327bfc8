"""The GPUs that a process holds, as the driver and torch tell of them.

Belongs here: that they compute (`required`), and how busy they are (`use`). Does not belong here: which steps hold one, and
choosing a device to train on.
"""
