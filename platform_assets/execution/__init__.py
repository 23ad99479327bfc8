"""Two doors that keep their names: `dagster.yaml` names classes here, and one `dagster.yaml` serves every version.

Belongs here: `launcher` and `coordinator`, under the names that pinned campaigns' pods and a rolled-back deployment, whose
code is older than the instance's `dagster.yaml`, can import too. Does not belong here: anything they do
(`foundation.execution`).
"""
