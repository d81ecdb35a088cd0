"""HTTP Strict Transport Security (RFC 6797): browsers that came by https once do not come by http again."""

import ipaddress
from urllib.parse import urlsplit

from flask import Flask, Response

from changegate.config import Settings

HEADER = "Strict-Transport-Security"
# A year. Subdomains are left out: they may be run by other teams, without https.
POLICY = "max-age=31536000"
LOCAL = "localhost"


def register_hsts(app: Flask, settings: Settings) -> None:
    """Send the header with every answer if the base URL is https on a named host.

    An address or localhost is shared by all ports and projects of a machine, and browsers would remember it for a year.
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
