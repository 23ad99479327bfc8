"""The bundles that an ensemble artifact holds."""

from typing import TYPE_CHECKING

from platform_assets.foundation.artifacts import Artifact

if TYPE_CHECKING:
    from platform_assets.learning.bundle import Bundle

BUNDLE_FOLDER = "bundle"
# The best of the members that look at features alone: there when another campaign's score is among the columns.
ALONE_FOLDER = "alone"


def load_bundle(ensemble: Artifact) -> "Bundle":
    """What people are scored with."""
    from platform_assets.learning.bundle import Bundle

    return Bundle.load(ensemble.folder() / BUNDLE_FOLDER)


def load_bundle_alone(ensemble: Artifact) -> "Bundle":
    """What other campaigns may take for this one's score: it looks at features and at no other model's scores.

    Otherwise a score would need the models that its models needed, and theirs, and so on.
    """
    from platform_assets.learning.bundle import Bundle

    folder = ensemble.folder()
    return Bundle.load(folder / ALONE_FOLDER if (folder / ALONE_FOLDER).is_dir() else folder / BUNDLE_FOLDER)
