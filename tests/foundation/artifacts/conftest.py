"""Fixtures of the artifact tests."""

from tests.foundation.storage.roots import root, shared_root

__all__ = ["root", "shared_root"]
