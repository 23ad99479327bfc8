"""The network families: one shared architecture and training loop, and three ways to start from what is known.

Belongs here: the network, its training loop with checkpoints, pre-trained bodies, and the families that use them. Does not
belong here: other families, and what all families share (`families`).
"""
