"""Asking AWS for exports: which are due, asking for each once, and awaiting them.

Belongs here: the windows that tile, the record of what was asked for, and the calls of DynamoDB and RDS. Does not belong here:
who AWS takes this process for and bringing what was written (`transfer`), what an export means (`exports`), and when a look is
taken (`operations.automation`).

An export is recorded before it is asked for, and its name at AWS after. Any number of processes may ask at once, and each may
end at any instant: the record decides what is asked for, and AWS takes the same request with the same token for one.
"""
