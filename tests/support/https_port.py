"""The port 443 of https://localhost, for clients that know no other port, without the right to listen on it."""

import socket
from typing import Any

import pytest

HTTPS = 443
NAMED_INSTANCE = "https://localhost"


def lead_to(port: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let https://localhost lead to a port of this machine."""
    resolve = socket.getaddrinfo

    def resolve_to_the_server(host: Any, wanted: Any, *rest: Any, **options: Any) -> Any:
        place = ("127.0.0.1", port) if (host, wanted) == ("localhost", HTTPS) else (host, wanted)
        return resolve(*place, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_to_the_server)
