"""Feature groups without Python: derived from what an entity's marts declare of their columns, tuned in YAML.

Belongs here: `features/<entity>.yaml` and its refusals, which column becomes which features, computing them, and counting the
leading values of categories. Does not belong here: groups that people write (the project's `features/*.py`), windows that those share
(`features/windows`), caching and auditing (`features/tables`).
"""
