"""Start-up, readiness and liveness probes: when to ask, whom, and what the answers amount to.

Belongs here: asking. What becomes of a container whose probe fails is container.py.
"""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Callable
from typing import Any

ADDRESS = "127.0.0.1"


class Probe:
    """Counts answers against the thresholds. `due`: seconds after the container's start at which to ask next."""

    def __init__(self, described: dict[str, Any], question: Callable[[], bool]) -> None:
        self._described, self._question = described, question
        self.due = float(described.get("initialDelaySeconds") or 0)
        self._successes = self._failures = 0

    def ask(self, moment: float) -> bool | None:
        """True or False once the threshold of that answer is reached, otherwise None."""
        good = self._question()
        self.due = moment + (self._described.get("periodSeconds") or 10)
        self._successes, self._failures = (self._successes + 1, 0) if good else (0, self._failures + 1)
        if self._successes >= (self._described.get("successThreshold") or 1):
            return True
        if self._failures >= (self._described.get("failureThreshold") or 3):
            return False
        return None


def answers(described: dict[str, Any], named: dict[str, int], runs: Callable[[list[str], float], bool]) -> bool:
    """Whether httpGet, tcpSocket or exec of a probe succeeds. named: the container's ports by name."""
    timeout = float(described.get("timeoutSeconds") or 1)
    if "exec" in described:
        return runs(described["exec"]["command"], timeout)
    target = described.get("httpGet") or described["tcpSocket"]
    port = target["port"] if isinstance(target["port"], int) else named[target["port"]]
    host = target.get("host") or ADDRESS
    try:
        if "httpGet" not in described:
            socket.create_connection((host, port), timeout).close()
            return True
        if (target.get("scheme") or "HTTP") == "HTTPS":
            unverified = ssl._create_unverified_context()  # a kubelet does not verify either
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout, context=unverified
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        with contextlib.closing(connection):
            headers = {header["name"]: header["value"] for header in target.get("httpHeaders") or []}
            connection.request("GET", target.get("path") or "/", headers=headers)
            return 200 <= connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
