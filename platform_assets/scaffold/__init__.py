"""What the platform writes into people's projects, for them to own and change.

Belongs here: the template of a project, and writing it. Does not belong here: reading what people declared (`components`), or
changing what they wrote.
"""
