"""Auditing a table before it is published, and remembering the verdict.

Belongs here: rules about tables as data, judging a table by them, the verdict on a table that readers ask for, and how
an audit looks as a Dagster check. Does not belong here: which rules a particular table has; its publisher states them.
"""

from platform_assets.data.quality.auditing import AuditFailed as AuditFailed
from platform_assets.data.quality.auditing import Check as Check
from platform_assets.data.quality.auditing import audit as audit
from platform_assets.data.quality.rules import Allowed as Allowed
from platform_assets.data.quality.rules import Bounds as Bounds
from platform_assets.data.quality.rules import Columns as Columns
from platform_assets.data.quality.rules import Key as Key
from platform_assets.data.quality.rules import Monotone as Monotone
from platform_assets.data.quality.rules import NullShare as NullShare
from platform_assets.data.quality.rules import RowCount as RowCount
from platform_assets.data.quality.rules import Rule as Rule
from platform_assets.data.quality.rules import ShareBounds as ShareBounds
from platform_assets.data.quality.verdicts import Refused as Refused
from platform_assets.data.quality.verdicts import Verdicts as Verdicts
