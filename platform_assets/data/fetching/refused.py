"""Why a load cannot go on."""


class FetchRefused(Exception):
    """A load cannot go on. Names what was asked for and what to do; never a key, and nothing of an object.

    Attributes:
        passes: whether it may be over by itself.
    """

    def __init__(self, message: str, passes: bool = False) -> None:
        super().__init__(message)
        self.passes = passes
