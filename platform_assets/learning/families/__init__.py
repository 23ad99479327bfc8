"""Estimator families: each turns a table and labels into a classifier that saves itself.

Belongs here: one file a family, its parameters (`parameters`), the shape they share (`estimator`), what makes a table fit
for them (`preprocessing`), their names (`registry`), and the baselines. Does not belong here: folds, feature selection,
ensembles, figures about models.
Nothing is imported at this level, so that naming one family never loads another's libraries.
"""
