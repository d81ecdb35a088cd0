"""A proxy on loopback that passes bytes on until a test makes it stall, refuse, or reset."""

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import make_url

from changegate import create_app
from changegate.extensions import db

RESET = struct.pack("ii", 1, 0)
CHUNK = 65536
LOOK_SECONDS = 0.05


class FaultyRoute:
    """A TCP proxy to one port at a time.

    It passes bytes while `is_passing`. When it is not, connections stay open and bytes are acknowledged, but nothing
    arrives at the other end: what clients of a frozen host, or of a proxy that lost its server, see.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.is_passing = True
        # Instead of passing it on, the next message of a client is answered with these bytes and the end of its
        # connection, as by a pooler that has lost its server.
        self.farewell = b""
        self.accepted = 0
        self._pairs: list[tuple[socket.socket, socket.socket | None]] = []
        self._left: list[tuple[socket.socket, socket.socket | None]] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._is_open = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def reset_all(self) -> None:
        """Reset every connection, as a server that was killed does."""
        with self._lock:
            pairs, self._pairs, self._left = self._pairs + self._left, [], []
        for end in (end for pair in pairs for end in pair if end is not None):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.close()

    def leave(self, target: int) -> None:
        """Send new connections to another port; those that exist stay open, and nothing passes through them again."""
        with self._lock:
            self._left += self._pairs
            self._pairs = []
        self.target = target

    def close(self) -> None:
        self._is_open = False
        self._thread.join()
        self._listener.close()
        self.reset_all()

    def _run(self) -> None:
        while self._is_open:
            with self._lock:
                passing = [pair for pair in self._pairs if pair[1] is not None and self.is_passing]
            ends = {end: other for pair in passing for end, other in (pair, pair[::-1]) if end is not None}
            try:
                ready, _, _ = select.select([self._listener, *ends], [], [], LOOK_SECONDS)
            except (OSError, ValueError):  # a connection was reset by the test
                continue
            for one in ready:
                if one is self._listener:
                    self._accept()
                elif self.is_passing and (other := ends[one]) is not None:
                    self._pass_on(one, other)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        self.accepted += 1
        server: socket.socket | None = None
        if self.is_passing:
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                return
        with self._lock:
            self._pairs.append((client, server))

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        try:
            read = one.recv(CHUNK)
            if self.farewell:
                one.sendall(self.farewell)
            elif read:
                other.sendall(read)
                return
        except OSError:
            pass
        with self._lock:
            self._pairs = [pair for pair in self._pairs if one not in pair]
        one.close()
        other.close()


@contextlib.contextmanager
def faulty_route(target: int) -> Iterator[FaultyRoute]:
    """Run a proxy to a port of loopback."""
    route = FaultyRoute(target)
    try:
        yield route
    finally:
        route.close()


@pytest.fixture
def route(prepared_postgres: str) -> Iterator[FaultyRoute]:
    port = make_url(prepared_postgres).port
    assert port is not None
    with faulty_route(port) as opened:
        yield opened


@pytest.fixture
def routed_app(prepared_postgres: str, route: FaultyRoute, tmp_path: Path) -> Iterator[Flask]:
    """An application that reaches PostgreSQL through the proxy."""
    url = make_url(prepared_postgres).set(port=route.port).render_as_string(hide_password=False)
    app = create_app(instance_path=tmp_path / "instance", overrides={"database_url": url})
    yield app
    route.reset_all()
    with app.app_context():
        db.session.close()
        db.engine.dispose()
