"""How good an audience's scores were and are: measured where labels are known, and told on a page.

Belongs here: what came true, back-tests, the figures of a report and its page. Does not belong here: choosing people.
"""
