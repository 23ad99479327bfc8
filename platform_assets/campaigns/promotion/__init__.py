"""The gate between a challenger and the champion, and the card of a model that passed.

Belongs here: the decision, and the card as artifact and page. Does not belong here: the record of promotions (`registry`).
"""
