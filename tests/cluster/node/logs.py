"""Container logs over HTTPS, as the API server asks a kubelet for them.

Belongs here: GET /containerLogs/NAMESPACE/POD/CONTAINER with its query. `kubectl exec` and `port-forward` are not served.
"""

import http.server
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from tests.cluster.node.pod import Pod

FOLLOW_SECONDS = 0.2


def serve(find: Callable[[str, str], Pod | None], certificate: Path, key: Path) -> int:
    """Serves in threads that end with the process. find: by namespace and name. Returns the port."""

    class Handler(_Logs):
        found = staticmethod(find)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # The handshake belongs to the connection's thread: otherwise a client that says nothing holds up all others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


class _Logs(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    found: Callable[[str, str], Pod | None]

    def log_message(self, *_: object) -> None:
        """Requests are not logged."""

    def do_GET(self) -> None:
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = url.path.split("/")
        if len(parts) != 5 or parts[1] != "containerLogs":
            self.send_error(404, "the test node serves container logs only")
            return
        pod = self.found(parts[2], parts[3])
        log = pod and pod.log_of(parts[4], query.get("previous") == "true")
        if not pod or not log:
            self.send_error(404, f"no log of {parts[2]}/{parts[3]} container {parts[4]}")
            return
        self.send_response(200)
        self.end_headers()
        limit = int(query.get("limitBytes", 0))
        written = 0
        try:
            for line in _lines(log, query, pod):
                text = line if query.get("timestamps") == "true" else line.partition(b" ")[2]
                if limit:
                    text = text[: limit - written]
                self.wfile.write(text)
                self.wfile.flush()
                written += len(text)
                if limit and written >= limit:
                    return
        except (BrokenPipeError, ConnectionResetError):
            return  # the reader has enough


def _lines(log: Path, query: dict[str, str], pod: Pod) -> Iterator[bytes]:
    while not log.exists():
        if query.get("follow") != "true" or pod.ended.is_set():
            return
        time.sleep(FOLLOW_SECONDS)
    since = query.get("sinceTime", "").encode()
    if "sinceSeconds" in query:
        since = (
            datetime.fromtimestamp(time.time() - int(query["sinceSeconds"]), UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        )
    with log.open("rb") as file:
        if "tailLines" in query:
            last = file.readlines()
            wanted = int(query["tailLines"])
            yield from (line for line in (last[-wanted:] if wanted else []) if line >= since)
        while True:
            ended = pod.ended.is_set()  # asked before reading: what was written before it ended is read below
            line = file.readline()
            if line.endswith(b"\n"):
                if line >= since:
                    yield line
                continue
            file.seek(-len(line), 1)
            if query.get("follow") != "true" or ended:
                return
            time.sleep(FOLLOW_SECONDS)
