"""The parameters of every estimator family with their defaults, a module a family, named as in the registry.

Belongs here: `Parameters`, a dataclass whose fields are the constructor of the family's classifier, which inherits it.
Does not belong here: what parameters mean (the classifier's docstring), imports beyond dataclasses: a campaign's parameters
are checked where nothing heavy is loaded. A module of its own each, so that a changed default makes only its family anew.
"""
