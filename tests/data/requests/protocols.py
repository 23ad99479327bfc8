"""The two protocols that AWS's clients speak here: JSON 1.0 of DynamoDB, and queries answered in XML of RDS.

Belongs here: answers and errors as bytes. Does not belong here: what is answered (`aws_server`).
"""

import json
from typing import Any
from xml.sax.saxutils import escape

from tests.support.answering import Reply


class Refused(Exception):
    """An answer that is an error: AWS's code and words."""

    def __init__(self, code: str, words: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.words, self.status = code, words or code, status


def json_answer(status: int, document: dict[str, Any]) -> Reply:
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/x-amz-json-1.0"})


def json_error(refused: Refused) -> Reply:
    kind = f"com.amazonaws.dynamodb.v20120810#{refused.code}"
    return json_answer(refused.status, {"__type": kind, "message": refused.words})


def xml(status: int, text: str) -> Reply:
    return Reply(status, text.encode(), {"Content-Type": "text/xml"})


def xml_error(refused: Refused) -> Reply:
    error = _element("Error", {"Type": "Sender", "Code": refused.code, "Message": refused.words})
    return xml(refused.status, f"<ErrorResponse>{error}</ErrorResponse>")


def xml_answer(action: str, answer: Any) -> str:
    return f"<{action}Response>{_element(f'{action}Result', answer)}</{action}Response>"


def _element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        inner = "".join(_element(*each) for each in value.items())
    elif isinstance(value, list):
        inner = "".join(_element(*each) for each in value)
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"
