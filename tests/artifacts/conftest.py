"""Fixtures of the artifact tests."""

from tests.storage.roots import root, shared_root

__all__ = ["root", "shared_root"]
