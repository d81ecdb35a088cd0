"""HTTP Strict Transport Security (RFC 6797)."""

import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Response

from changegate.config import Settings

HEADER = "Strict-Transport-Security"
# One year. Without includeSubDomains: other teams may run subdomains without https.
POLICY = "max-age=31536000"
LOCAL = "localhost"


def register_hsts(app: Flask, settings: Settings) -> None:
    """Send the header with every response if the base URL is https with a host name.

    An IP address or localhost is left out: browsers would force https for a year on all ports and projects there.
    """
    base = urlsplit(settings.base_url)
    if base.scheme != "https" or not _is_named(base.hostname or ""):
        return

    def require_https(response: Response) -> Response:
        response.headers[HEADER] = POLICY
        return response

    app.after_request(require_https)


def _is_named(host: str) -> bool:
    host = host.rstrip(".").lower()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != LOCAL and not host.endswith(f".{LOCAL}")
    return False
