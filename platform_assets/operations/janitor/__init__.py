"""The janitor: orphaned Jobs, stuck slots, ageing queues, old runs, and what Prometheus is told.

Belongs here: what tidies up after runs from outside of them. Does not belong here: how lost pods are retried
(`foundation.execution`). No definition imports this room.
"""
