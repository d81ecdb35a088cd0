"""The benchmark's own identity provider: two keys, their JWKS on loopback, assertions signed in advance."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://idp.bench.example"
AUDIENCE = "https://changegate.bench.example"
# As long as the server accepts by default: the last run must not meet an expired assertion.
LIFETIME_SECONDS = 3600


@dataclass(frozen=True)
class Signer:
    """Signs assertions, no two alike."""

    rsa_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    ec_key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    prefix: str = field(default_factory=lambda: uuid4().hex)
    serial: Iterator[int] = field(default_factory=count)

    def sign(self, alg: str) -> str:
        """Return a fresh assertion signed with `alg`, RS256 or ES256."""
        now = int(time.time())
        claims: dict[str, object] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bench"}
        claims |= {"jti": f"{self.prefix}-{next(self.serial)}", "iat": now, "exp": now + LIFETIME_SECONDS}
        key = self.rsa_key if alg == "RS256" else self.ec_key
        return jwt.encode(claims, key, algorithm=alg, headers={"kid": alg})

    def rsa_public_pem(self) -> bytes:
        """Return the public half of the RSA key."""
        return self.rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def key_set(self) -> bytes:
        """Return both public keys as a JWKS document."""
        rsa_jwk = RSAAlgorithm.to_jwk(self.rsa_key.public_key(), as_dict=True)
        ec_jwk = ECAlgorithm.to_jwk(self.ec_key.public_key(), as_dict=True)
        marked = [{**rsa_jwk, "kid": "RS256", "use": "sig"}, {**ec_jwk, "kid": "ES256", "use": "sig"}]
        return json.dumps({"keys": marked}).encode()


@contextmanager
def serve_key_set(document: bytes) -> Iterator[str]:
    """Serve a JWKS document on loopback; give its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/jwk-set+json")
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing: the terminal belongs to the result."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/jwks.json"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
