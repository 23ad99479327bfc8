"""Exports that nobody writes for us: what a service's API shows, fetched and laid down as an export of its own.

Belongs here: what is declared of such a source, asking the service, and one load from its first question to its manifests.
Does not belong here: verifying and loading an export (`engines`, `raw`), and any typing or reshaping of what was fetched.
"""
