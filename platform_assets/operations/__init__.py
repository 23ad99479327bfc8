"""What runs a deployed platform day by day.

Belongs here: when things run (`automation`), what looks at Dagster's instance and at the cluster from outside of any run
(`janitor`), the code locations of pinned campaigns, pages for people (`pages`), and what `platform-assets doctor` looks at. Does not belong here: what
a run does itself, how its pods are made (`foundation.execution`), and the manifests (`deploy/kubernetes`).
"""
