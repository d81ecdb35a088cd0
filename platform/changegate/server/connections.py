"""Open connections, found among the file descriptors of the process.

ASGI has no call that ends a connection. Shutting down the socket is the only way to drop a client that does not read
or sends nothing.
"""

import os
import socket
import sys
import time
from collections.abc import Iterator, Set
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from stat import S_ISSOCK
from struct import Struct
from threading import Thread

DESCRIPTORS = "/dev/fd"
# Connections to end are collected for this long, so that one scan of all descriptors serves hundreds of them.
SECONDS_TO_COLLECT = 0.05
# Granian has no timeout for the first byte of a connection, and a limited number of connections. This time must be
# longer than any wait of the server in which neither side sends.
SILENT_SECONDS = 120.0
SECONDS_BETWEEN_CONNECTION_LOOKS = 15.0
# In `struct tcp_info` of Linux: the milliseconds since data was sent, since an acknowledgment was, and since data came.
TCP_INFO_TIMES, TCP_INFO_OFFSET = Struct("=3I"), 44
Peer = tuple[str, int]
# TCP options, where the system has them. TCP_USER_TIMEOUT, in milliseconds, is the only deadline for a response that
# fits into buffers. Without TCP_NOTSENT_LOWAT, in bytes, the system buffers megabytes for a client that reads nothing.
UNREAD = {"TCP_USER_TIMEOUT": 30_000, "TCP_NOTSENT_LOWAT": 128 * 1024}


@cache
def bound_unread_answers(port: int) -> None:
    """Limit how much unread data the system buffers for a client, and for how long.

    Sets the options on the listening sockets, once; new connections inherit them.
    """
    for own in _own_sockets():
        if own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and own.getsockname()[1] == port:
            for name, value in UNREAD.items():
                if hasattr(socket, name):
                    own.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Cutter:
    """Ends connections on a thread of its own: scanning all descriptors would block the event loop for milliseconds."""

    def __init__(self) -> None:
        self._peers: SimpleQueue[Peer] = SimpleQueue()
        Thread(target=self._work, name="cutter", daemon=True).start()

    def cut(self, address: str, port: int) -> None:
        """End the connection of a client shortly; returns at once."""
        self._peers.put((address, port))

    def _work(self) -> None:
        looked_at = time.monotonic()
        while True:
            peers: set[Peer] = set()
            with suppress(Empty):
                peers.add(self._peers.get(timeout=SECONDS_BETWEEN_CONNECTION_LOOKS))
                time.sleep(SECONDS_TO_COLLECT)
                while not self._peers.empty():
                    peers.add(self._peers.get())
            if time.monotonic() - looked_at >= SECONDS_BETWEEN_CONNECTION_LOOKS:
                looked_at = time.monotonic()
                peers |= silent_peers()
            if peers:
                cut_all(peers)


def cut_all(peers: Set[Peer]) -> None:
    """End the connections of clients."""
    for own in _own_sockets():
        with suppress(OSError):  # a listening socket, or one that was closed
            if own.getpeername()[:2] in peers:
                own.shutdown(socket.SHUT_RDWR)


def silent_peers() -> set[Peer]:
    """Return the clients whose connections have had no traffic in either direction for `SILENT_SECONDS`."""
    ports: set[int] = set()
    silent: dict[Peer, int] = {}
    for own in _own_sockets():
        with suppress(OSError):  # closed meanwhile
            port = own.getsockname()[1]
            if own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                ports.add(port)
            elif _seconds_silent(own) > SILENT_SECONDS:
                silent[own.getpeername()[:2]] = port
    # Leave out outgoing connections, such as those to the database or an identity provider.
    return {peer for peer, port in silent.items() if port in ports}


def _seconds_silent(own: socket.socket) -> float:
    if sys.platform != "linux":
        return 0.0
    info = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_OFFSET + TCP_INFO_TIMES.size)
    sent, _, received = TCP_INFO_TIMES.unpack_from(info, TCP_INFO_OFFSET)
    return float(min(sent, received)) / 1000


def _own_sockets() -> Iterator[socket.socket]:
    """Yield the TCP sockets of this process; Granian does not expose them.

    Never duplicate or close a descriptor here: closing any descriptor of a file drops the locks that SQLite holds on
    that file (fcntl(2)), and two writers would corrupt the database.
    """
    for name in os.listdir(DESCRIPTORS) if os.path.isdir(DESCRIPTORS) else ():
        try:
            if not S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            own = socket.socket(fileno=int(name))
        except OSError:  # closed meanwhile
            continue
        try:
            if own.family in {socket.AF_INET, socket.AF_INET6} and own.type == socket.SOCK_STREAM:
                yield own
        finally:
            own.detach()
