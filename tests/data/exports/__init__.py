"""Tests of reading AWS exports and of the sample data's writers."""
