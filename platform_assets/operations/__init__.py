"""What looks after a deployed platform: orphaned Jobs, stuck slots, ageing queues, old runs, what Prometheus is told, and
the code locations of pinned campaigns.

Belongs here: what looks at Dagster's instance and at the cluster from outside of any run. Does not belong here: what a run
does itself, how its pods are made and lost pods are retried (`execution`), and the manifests (`deploy/kubernetes`). No
definition imports this room.
"""
