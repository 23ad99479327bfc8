"""Where and how steps run: resource profiles, a pod a step, what every run is stamped with, surviving pre-emption.

Belongs here: what stands between Dagster and the processes or pods that runs execute in. Does not belong here: what a step
does, and the manifests (`deploy/kubernetes`). Nothing here is imported by a step's own work.
"""
