"""What a table is looked over for before anything learns from it.

Belongs here: columns that know the answer, columns that tell the date. Does not belong here: figures about models.
"""
