"""From a promoted model to people who can be acted on.

Belongs here: scoring a population, choosing an audience, reasons, measuring what came true, the report, and putting
audience and report where people find them. Does not belong here: training, or deciding what is promoted (`campaigns`).
"""
