"""What an export of a table holds, beside those before it, in sentences.

Belongs here: the comparison of full exports (`exports`) and of windows of changes (`windows`), and which ones are compared and were
accepted (`history`). Does not belong here: how what is known of an export is read (`engines.profiles`), and what a difference stops
(`marts.gate`).
"""
