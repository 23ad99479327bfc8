"""What a person states in a campaign file, and whether it can be honoured.

Belongs here: the specification, reading it with errors that name file, line and key, conditions on people and events, the
models and pods it stands for. Does not belong here: reading any mart, or training.
"""
