"""Fixtures of the storage tests."""

from tests.foundation.storage.roots import bucket_root, root

__all__ = ["bucket_root", "root"]
