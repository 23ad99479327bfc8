"""Sphinx settings of the documentation: `make docs` builds it strictly.

Belongs here: extensions, theme, what is checked. Does not belong here: text, and reading the code (`reference_pages`).
"""

import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

project = "platform-assets"
version = release = installed("platform-assets")
author = "The platform-assets authors"
project_copyright = f"2026 {author}"

extensions = ["myst_parser", "reference_pages"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "**/_*.md"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Links that leave this folder go to the repository's files, which are not pages.
myst_url_schemes = ("http", "https", "mailto")

html_theme = "furo"
html_title = "platform-assets"
html_show_sourcelink = False
pygments_style = "friendly"
