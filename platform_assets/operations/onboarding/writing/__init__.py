"""From a plan to files: the SQL of models, YAML, and putting both into the project without overwriting anything.

Belongs here: text and files. Does not belong here: what is proposed.
"""
