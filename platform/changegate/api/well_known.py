"""URLs of metadata: a well-known part between the host and the path of the resource (RFC 8414 §3, RFC 9728 §3)."""

from urllib.parse import urlsplit

from changegate.extensions import settings

AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"


def base_path() -> str:
    """Return the path of the base URL: empty, or for example /change."""
    return urlsplit(settings().base_url).path


def resource_metadata_url() -> str:
    """Return the URL of the metadata of the protected resource."""
    base = settings().base_url
    return f"{base.removesuffix(base_path())}{PROTECTED_RESOURCE}{base_path()}"
