"""Figures about scores: metrics, intervals, slices.

Belongs here: what is computed from scores and labels. Does not belong here: fitting, and columns that know the answer
(`data_checks`).
"""
