"""Auditing a table before it is published, and remembering the verdict.

Belongs here: rules about tables as data, judging a table by them, the verdict on a table that readers ask for, and how
an audit looks as a Dagster check. Does not belong here: which rules a particular table has; its publisher states them.
"""

from platform_assets.data.quality.auditing import AuditFailed, audit
from platform_assets.data.quality.rules import (
    Allowed,
    Bounds,
    Columns,
    Key,
    Monotone,
    NullShare,
    RowCount,
    Rule,
    ShareBounds,
)
from platform_assets.data.quality.verdicts import Refused, Verdicts
