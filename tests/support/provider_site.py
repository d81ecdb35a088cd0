"""An identity provider's site on loopback: documents by path, real keys, and tokens signed by them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.forge import ec_key, forge, jwk, key_set_document, rsa_key
from tests.support.misbehaving_jwks import MisbehavingJwks, misbehaving_jwks, reply

OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"
NOT_FOUND = reply(b"no", 404, content_type="text/html")


@dataclass
class ProviderSite:
    """The site; `documents` maps paths to bodies, and may be changed while it runs."""

    server: MisbehavingJwks
    documents: dict[str, bytes]

    @property
    def url(self) -> str:
        return self.server.url(path="")

    @property
    def asked(self) -> list[str]:
        """Return the paths that were asked for."""
        return [request.target for request in self.server.requests]

    def publish(self, path: str = "", jwks: str = JWKS, **members: Any) -> str:
        """Publish keys, and a discovery document for the issuer with this path; answers the issuer."""
        issuer = self.url + path
        document = {"issuer": issuer, "jwks_uri": self.url + jwks, **members}
        self.documents[path.rstrip("/") + OPENID] = json.dumps(document).encode()
        self.documents[jwks] = key_set_document(jwk(rsa_key(), "rsa-1"), jwk(ec_key(), "ec-1", alg="ES256"))
        return issuer

    def sign(self, issuer: str, header: dict[str, Any] | None = None, key: str = "ours", **claims: Any) -> str:
        """Sign a token with the published RSA key; a claim that is `...` is left out."""
        now = int(time.time())
        usual = {"iss": issuer, "sub": "repo:shop", "aud": "https://desk.example.com", "jti": "one-of-a-kind"}
        content = {**usual, "iat": now, "exp": now + 300, **claims}
        kept = {name: value for name, value in content.items() if value is not ...}
        return forge({"alg": "RS256", "kid": "rsa-1", "typ": "JWT", **(header or {})}, kept, key=rsa_key(key))


@contextmanager
def provider_site() -> Iterator[ProviderSite]:
    """Serve a site that publishes nothing yet."""
    with misbehaving_jwks(NOT_FOUND) as server:
        site = ProviderSite(server, {})

        def answer(connection: Any, received: Any) -> None:
            body = site.documents.get(received.target)
            (NOT_FOUND if body is None else reply(body))(connection, received)

        server.answer = answer
        yield site


@pytest.fixture
def site() -> Iterator[ProviderSite]:
    """Return a site."""
    with provider_site() as found:
        yield found
