"""Connections, as the system sees them: the only way to end one whose client does not read."""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress

DESCRIPTORS = "/dev/fd"
# Bytes that nobody takes for so long end a connection: what fits into buffers has no other bound.
SECONDS_UNREAD = 30


def end_unread_answers(port: int) -> None:
    """Have the system end connections whose clients do not read, where it can; new ones inherit it from `port`."""
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    for own in _own_sockets():
        if own.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) and own.getsockname()[1] == port:
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SECONDS_UNREAD * 1000)


def cut(address: str, port: int) -> None:
    """End the connection of a client."""
    for own in _own_sockets():
        with suppress(OSError):  # it listens, or has ended
            if own.getpeername()[:2] == (address, port):
                own.shutdown(socket.SHUT_RDWR)


def _own_sockets() -> Iterator[socket.socket]:
    """Give duplicates of this process's TCP sockets, which Granian keeps to itself."""
    for name in os.listdir(DESCRIPTORS) if os.path.isdir(DESCRIPTORS) else ():
        try:
            descriptor = os.dup(int(name))
        except OSError:
            continue
        try:
            own = socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)
            continue
        with own:
            if own.family in {socket.AF_INET, socket.AF_INET6} and own.type == socket.SOCK_STREAM:
                yield own
