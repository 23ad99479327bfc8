"""An audit as a page of Great Expectations' data docs.

Belongs here: the page. Does not belong here: judging (auditing.py), or where pages lie (verdicts.py). A page names no
person: its samples are those of the audit. A browser that shows it fetches its styles from public networks.
"""

from collections.abc import Mapping
from typing import Any


def page(validation: Mapping[str, Any]) -> str:
    """The HTML page of an audit's stored `validation`, rendered by Great Expectations itself (0.1 CPU-s)."""
    from great_expectations.core import expectationSuiteValidationResultSchema
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    result = expectationSuiteValidationResultSchema.load(validation)
    return str(DefaultJinjaPageView().render(ValidationResultsPageRenderer(run_info_at_end=True).render(result)))
