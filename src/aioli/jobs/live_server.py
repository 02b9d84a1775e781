"""A page on localhost that is made anew when what it shows has changed."""

from __future__ import annotations

import errno
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Hashable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from aioli.errors import InputError

__all__ = ["Page", "serve"]

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
SHARE = 10.0
"""A page is made at most once in this many times the CPU seconds that making it took: runs come first."""


class Page(Protocol):
    """What is served."""

    def version(self) -> Hashable:
        """Cheap to compute, and another value whenever the page would be another."""
        ...

    def render(self) -> str:
        """The page itself."""
        ...


class _Kept:
    """The page as last made, for all requests."""

    def __init__(self, page: Page) -> None:
        self.page, self.lock = page, threading.Lock()
        self.version: Hashable = None
        self.body, self.tag = b"", ""
        self.earliest = 0.0

    def fresh(self) -> tuple[bytes, str]:
        """The page and its tag; made anew when that is due."""
        with self.lock:
            version = self.page.version()
            if version != self.version and time.monotonic() >= self.earliest:
                start = time.thread_time()
                self.body = self.page.render().encode()
                self.tag = f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'
                self.version = version
                self.earliest = time.monotonic() + SHARE * (time.thread_time() - start)
            return self.body, self.tag


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, kept: _Kept) -> None:
        self.kept = kept
        super().__init__((HOST, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        if (self.headers.get("Host") or "").partition(":")[0] not in NAMES:
            self.send_error(HTTPStatus.FORBIDDEN, "this page is for this machine only")
            return
        if self.path.partition("?")[0] != "/":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            content, tag = self.server.kept.fresh()
        except (InputError, OSError) as error:  # a directory that is being changed, or is gone
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "cannot be read", str(error))
            return
        same = self.headers.get("If-None-Match") == tag
        self.send_response(HTTPStatus.NOT_MODIFIED if same else HTTPStatus.OK)
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "no-cache")
        if not same:
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body and not same:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not news."""


def serve(page: Page, port: int, ready: Callable[[str], None] = lambda address: None) -> None:
    """Serve `page` to this machine only, until a KeyboardInterrupt.

    Args:
        port: 0 takes any that is free. ready: told the address once it answers.

    Raises:
        InputError: the port is in use, or may not be used.
    """
    try:
        server = _Server(port, _Kept(page))
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        why = "is in use" if error.errno == errno.EADDRINUSE else "may not be used by you"
        raise InputError(
            f"port {port} of {HOST} {why}: name another with --port (0 takes any that is free)"
        ) from None
    with server:
        try:
            ready(f"http://{HOST}:{server.server_address[1]}/")
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return
