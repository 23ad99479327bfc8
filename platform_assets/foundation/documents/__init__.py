"""Files that people write: read safely, checked against a model, and what is wrong said in sentences.

Belongs here: what every kind of declaration shares. Does not belong here: what any of them means.
"""
