"""When things run: jobs, schedules and sensors.

Belongs here: what is selected together and what sets it off. Does not belong here: what the assets do.
"""
