"""S3 on this machine: moto's server, and before it a proxy that counts what is read and kills who reads.

Belongs here: serving, filling and counting. Does not belong here: what is expected of who reads.
"""

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from tests.support.answering import Reply, Request, answering, forwarded

NOBODYS_KEY = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


@contextlib.contextmanager
def serving_s3() -> Iterator[str]:
    """The URL of an S3 with nothing in it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


class S3:
    """A bucket, and the proxy through which the platform reaches it.

    Attributes:
        reads: (key, bytes) of each answer to a read, whether or not it was heard.
        listings: how many pages were listed.
        interfere: called with each request; its answer, where it has one, stands for S3's.
    """

    def __init__(self, endpoint: str) -> None:
        import boto3

        self.bucket = f"exports-{uuid4().hex[:12]}"
        self.endpoint = urlsplit(endpoint).netloc
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        self.client.create_bucket(Bucket=self.bucket)
        self.reads: list[tuple[str, int]] = []
        self.listings = 0
        self.interfere: Callable[[Request], Reply | None] = lambda request: None
        self._kill_at: int | None = None
        self._victim = 0
        self._lock = threading.Lock()

    def fill(self, folder: Path | str, prefix: str = "") -> int:
        """Put all that lies in a folder below a prefix; returns how many bytes that is."""
        size = 0
        for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
            key = "/".join(filter(None, (prefix, path.relative_to(folder).as_posix())))
            self.put(key, path.read_bytes())
            size += path.stat().st_size
        return size

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    @property
    def bytes_read(self) -> int:
        return sum(size for _, size in self.reads)

    def kill(self, victim: int, after: int) -> None:
        """Kill a process once so many more reads were answered."""
        with self._lock:
            self._victim, self._kill_at = victim, len(self.reads) + after

    def reply(self, request: Request) -> Reply | None:
        parts = urlsplit(request.path)
        if (interference := self.interfere(request)) is not None:
            return interference
        answer = forwarded(request, self.endpoint)
        if "list-type" in parts.query:
            self.listings += 1
            return answer
        with self._lock:
            if request.command == "GET" and answer.status in (200, 206):
                self.reads.append((parts.path.removeprefix(f"/{self.bucket}/"), len(answer.content)))
            if self._kill_at is not None and len(self.reads) >= self._kill_at:
                self._kill_at = None
                os.kill(self._victim, signal.SIGKILL)
        return answer


@contextlib.contextmanager
def bucket_at(endpoint: str) -> Iterator[tuple[S3, str]]:
    """A bucket of its own, and the URL of the proxy before it."""
    s3 = S3(endpoint)
    with answering(s3.reply) as url:
        yield s3, url
