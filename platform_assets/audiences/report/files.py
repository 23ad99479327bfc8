"""The names of a report's files, in its artifact and where people look.

Belongs here: names. Does not belong here: what is in the files.
"""

FILE = "report.html"
PICTURE_FILE = "lift.svg"
FIGURES_FILE = "figures.json"
