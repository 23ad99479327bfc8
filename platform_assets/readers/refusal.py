"""What a reader says when it gives no rows.

Belongs here: the error. That a mart is not published, refused or damaged is said by the pointer (`data.catalog.pointer`).
"""


class ReadRefused(ValueError):
    """A reader was asked for what the published mart does not answer; says what it would."""
