"""Fixtures of the artifact tests."""

from tests.foundation.storage.roots import root

__all__ = ["root"]
