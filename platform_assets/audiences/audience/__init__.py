"""From scores to the people who are acted on, and those held out.

Belongs here: choice, reasons, the audience as an artifact, and putting it where people look. Does not belong here: scores
(`scoring`), and how good they were (`report`).
"""
