"""Assertions by which a client proves who it is."""

import uuid
from collections.abc import Mapping
from typing import Any

from tests.support.forge import forge, header
from tests.support.token_desk import AUDIENCE, Integration, TokenDesk

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def client_assertion(
    desk: TokenDesk,
    client: Integration,
    head: Mapping[str, Any] | None = None,
    key: Any = None,
    alg: str = "RS256",
    **claims: Any,
) -> str:
    """Sign an acceptable client assertion with changes; a claim given as `...` is left out."""
    issued_at = int(desk.app.config["CLOCK"]().timestamp())
    usual = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": AUDIENCE,
        "iat": issued_at,
        "exp": issued_at + 60,
        "jti": str(uuid.uuid4()),
    }
    named = {name: value for name, value in (usual | claims).items() if value is not ...}
    return forge(head or header(alg=alg), named, alg=alg, key=key)


def client_proof(desk: TokenDesk, client: Integration, assertion: str | None = None) -> dict[str, str]:
    """Return the form parameters by which a client proves itself."""
    return {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": client_assertion(desk, client) if assertion is None else assertion,
    }
