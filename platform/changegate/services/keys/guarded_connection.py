"""Connections to checked addresses: the host is resolved once, every address is checked, and TLS verifies the name."""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from changegate.errors import JwksFetchFailed
from changegate.services.keys.address_policy import (
    Address,
    AddressRefused,
    FetchPolicy,
    parse_address,
    require_address,
)
from changegate.services.keys.url_policy import AdmittedUrl

CONNECT_SECONDS = 3.0

Resolver = Callable[[str, int], list[str]]


def open_connection(url: AdmittedUrl, policy: FetchPolicy, resolve: Resolver, deadline: float) -> HTTPConnection:
    """Return an open connection to a checked address of the URL's host.

    `deadline` is on the monotonic clock. Raises `JwksFetchFailed`, or an error of the socket or TLS layer.
    """
    addresses = _checked_addresses(url, policy, resolve, deadline)
    # Any address of the host may serve; only the error of the last one is reported.
    for address in addresses[:-1]:
        with suppress(OSError, HTTPError):
            return _connect(url, address, policy, deadline)
    return _connect(url, addresses[-1], policy, deadline)


def resolve_host(host: str, port: int) -> list[str]:
    """Return every address of a host name, as text."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


def seconds_left(deadline: float) -> float:
    """Return the time until a deadline; raises `TimeoutError` when it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _checked_addresses(url: AdmittedUrl, policy: FetchPolicy, resolve: Resolver, deadline: float) -> list[Address]:
    texts = [url.host] if url.address else _resolve_in_time(url, resolve, deadline)
    addresses = [parse_address(text) for text in texts]
    checked = [address for address in addresses if address is not None]
    if not checked or len(checked) < len(addresses):
        raise JwksFetchFailed(f"The host {url.host} has no address that can be used.")
    # One refused address refuses the host: otherwise chance would decide which address a later connection gets.
    for address in checked:
        _require_for(url, address, policy)
    return checked


def _require_for(url: AdmittedUrl, address: Address, policy: FetchPolicy) -> None:
    try:
        require_address(address, policy)
    except AddressRefused as problem:
        raise AddressRefused(f"The host {url.host} is not connected to: {problem.message}") from None
    if url.scheme == "http" and not address.is_loopback:
        raise AddressRefused(f"The host {url.host} is at {address}; http is for this machine only.")


def _resolve_in_time(url: AdmittedUrl, resolve: Resolver, deadline: float) -> list[str]:
    """Resolve on a separate thread, because the system's resolver takes no deadline.

    After a timeout the thread is abandoned: it ends when the resolver returns, and its answer is not read.
    """
    # A queue for each call, so that a late answer of an abandoned thread cannot reach another fetch.
    answers: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(url.host, url.port))
        except (OSError, ValueError):
            answers.put(None)

    # A daemon thread: the process can end although the resolver hangs.
    threading.Thread(target=ask, name="jwks-resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds_left(deadline))
    except queue.Empty:
        raise JwksFetchFailed(f"The host name {url.host} could not be resolved in time.") from None
    if answer is None:
        raise JwksFetchFailed(f"The host name {url.host} could not be resolved.")
    return answer


def _connect(url: AdmittedUrl, address: Address, policy: FetchPolicy, deadline: float) -> HTTPConnection:
    # Shorter than the whole fetch may take, so that one unreachable address leaves time for the next one.
    timeout = min(CONNECT_SECONDS, seconds_left(deadline))
    if url.scheme == "http":
        connection = HTTPConnection(str(address), url.port, timeout=timeout)
    else:
        # We connect to the address, never to the name, which could resolve to another address by now. With
        # `server_hostname`, TLS still requests the name of the URL (SNI) and verifies the certificate against it.
        connection = HTTPSConnection(
            str(address), url.port, timeout=timeout, server_hostname=url.host, ssl_context=_tls(policy)
        )
    try:
        connection.connect()
    except BaseException:
        connection.close()
        raise
    return connection


def _tls(policy: FetchPolicy) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if policy.ca_file is not None:
        context.load_verify_locations(policy.ca_file)
    return context
