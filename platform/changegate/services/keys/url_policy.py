"""The rules for JWKS URLs, applied when a URL is saved and again each time it is fetched."""

import re
from dataclasses import dataclass

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from changegate.errors import JwksFetchFailed
from changegate.models.integration_choices import MAX_URL_LENGTH
from changegate.services.keys.address_policy import (
    Address,
    FetchPolicy,
    is_named_by_policy,
    parse_address,
)

DEFAULT_PORTS = {"https": 443, "http": 80}
# Data stores, brokers, and control planes above port 1024 that act on unauthenticated bytes. Kubernetes (6443), Vault
# (8200), and Keycloak (8443) are not listed, because they publish key sets.
_SERVICE_PORTS = frozenset({
    1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5432, 5672, 5900, 5984, 5985, 5986,
    6379, 8500, 9042, 9092, 9200, 9300, 10250, 10255, 11211, 25672, 27017, 27018, 50070,
})  # fmt: skip
_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")


class UrlRefused(JwksFetchFailed):
    """The server must not fetch this URL."""


@dataclass(frozen=True, slots=True)
class AdmittedUrl:
    """The parts of a URL; requests are built from these parts, never from the original text."""

    scheme: str
    host: str
    port: int
    target: str
    address: Address | None

    @property
    def host_header(self) -> str:
        """Return the value of the Host header: without the default port, with brackets around IPv6 addresses."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.target}"


def admit_url(url: str, policy: FetchPolicy) -> AdmittedUrl:
    """Split a JWKS URL into its parts, or raise `UrlRefused` with a sentence for the administrator.

    Host names are not resolved here; their addresses are checked when the key set is fetched.
    """
    parts = _split(url)
    scheme = _scheme(parts, policy)
    host = _host(parts)
    port = _port(parts, scheme)
    # A host name may resolve to another address at each fetch. Its addresses are therefore checked when the connection
    # is opened (`guarded_connection`), and here only an address within the URL.
    address = parse_address(host)
    if address is not None:
        _require_named(address, scheme, policy)
    return AdmittedUrl(scheme, host, port, parts.request_uri, address)


def _split(url: str) -> Url:
    # Before any parser runs: parsers disagree about backslashes, and some drop tabs and line breaks.
    if len(url) > MAX_URL_LENGTH:
        raise UrlRefused(f"The URL is longer than {MAX_URL_LENGTH} characters.")
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise UrlRefused(
            "The URL is empty or holds blanks, backslashes or characters outside ASCII. "
            "Write an international host name in its xn-- form."
        )
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise UrlRefused("The URL cannot be read.") from None
    # Checked on the original text, because the parser drops an empty user name and decodes an escaped host.
    authority = re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if "@" in authority:
        raise UrlRefused("The URL holds a user name or password.")
    if "%" in authority:
        raise UrlRefused("The host of the URL is escaped or has a zone.")
    if "#" in url:
        raise UrlRefused("The URL holds a fragment (#).")
    return parts


def _scheme(parts: Url, policy: FetchPolicy) -> str:
    scheme = parts.scheme or ""
    if scheme == "https" or (scheme == "http" and policy.allow_loopback):
        return scheme
    raise UrlRefused("The URL must begin with https://.")


def _host(parts: Url) -> str:
    host = (parts.host or "").lower()
    address = parse_address(host.strip("[]"))
    if address is not None:
        # In one spelling for the policy, the Host header, and the connection.
        return str(address)
    if not _HOST_NAME.fullmatch(host):
        raise UrlRefused("The URL has no host name, or one that is not well formed.")
    # Resolvers differ in how they read 2130706433, 0x7f.1, and 0177.0.0.1 as addresses.
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise UrlRefused("The host of the URL is a number that is not an address.")
    return host


def _port(parts: Url, scheme: str) -> int:
    port = DEFAULT_PORTS[scheme] if parts.port is None else parts.port
    # An accepted port lets an administrator make this server send bytes to a service there. Key sets are not published
    # on the ports of system services.
    if port != DEFAULT_PORTS[scheme] and (port < 1024 or port in _SERVICE_PORTS):
        raise UrlRefused(f"The port {port} is not one that key sets are published on.")
    return port


def _require_named(address: Address, scheme: str, policy: FetchPolicy) -> None:
    if scheme == "http" and not address.is_loopback:
        raise UrlRefused("The URL must begin with https://; http is for this machine only.")
    if not is_named_by_policy(address, policy):
        raise UrlRefused(
            f"The URL names the address {address}. Use a host name, or have the site's administrator "
            "admit the address (CHANGEGATE_JWKS_ALLOWED_NETWORKS)."
        )
