"""Worlds that several rooms' tests stand on.

Belongs here: small exports, declared files, a running platform, pages. Does not belong here: tests, and what one room needs.
"""
