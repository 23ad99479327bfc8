"""Serving until told to end, or until the process that it serves beside has ended.

Belongs here: the socket, uvicorn, and the end. Does not belong here: what is answered (`server.py`).
"""

import errno
import os
import socket
import threading
import time

import uvicorn

from platform_assets.environment import Environment
from platform_assets.operations.pages.server import Pages

PAUSE_SECONDS = 0.5
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


class PagesError(RuntimeError):
    """Pages cannot be served; says why and what to do."""


def listening(bind: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        PagesError: the address is in use, is none of this machine's, or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise PagesError(f"--bind {bind}: no address of this machine; 127.0.0.1 is reached from here alone") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PagesError(
                f"port {port} of {bind} is in use, perhaps by pages that are served already; end that process, or choose "
                "another port with --port and set PLATFORM_PAGES_URL to it, so that links lead there"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise PagesError(
                f"port {port} of {bind} may not be used by this user; choose one above 1023 with --port"
            ) from error
        raise PagesError(f"--bind {bind}: no address of this machine; 127.0.0.1 is reached from here alone") from error
    return listener


def require_data(environment: Environment) -> None:
    """Raises PagesError when there is no folder in which reports could lie."""
    if environment.cloud is None and not environment.data.is_dir():
        raise PagesError(
            f"{environment.data} is not there, and nothing was ever written to it; PLATFORM_DATA names the data folder, "
            "and `make demo` fills one"
        )


def serve(environment: Environment, bind: str, listener: socket.socket, beside: int | None = None) -> None:
    """Answer until SIGTERM or SIGINT.

    Args:
        beside: the process that started this one; pages end when it has ended, however it did.
    """
    server = uvicorn.Server(settings_of(environment, bind))
    if beside is not None:
        threading.Thread(target=_end_with, args=(beside, server), daemon=True).start()
    server.run(sockets=[listener])


def host_of(bind: str) -> str:
    """An address as URLs and Host headers write it."""
    return f"[{bind.lower()}]" if ":" in bind else bind.lower()


def settings_of(environment: Environment, bind: str) -> uvicorn.Config:
    """How uvicorn serves the pages of an environment at an address of this machine."""
    return uvicorn.Config(
        Pages(environment, hosts=() if bind in EVERYWHERE else (host_of(bind),)),
        # The strict one of uvicorn's two parsers: one Host, no line that is not HTTP.
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )


def _end_with(parent: int, server: uvicorn.Server) -> None:
    # Whoever loses its parent gets another; nothing signals that on every system.
    while os.getppid() == parent:
        time.sleep(PAUSE_SECONDS)
    server.should_exit = True
