"""The playbooks of jwt_tool against a running server: the first attempts of an attacker with a valid token."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import NewInstance
from tests.support.attack_forms import SPELLINGS, resigned
from tests.support.forge import as_bytes, b64, forge, header, jwk, key_set_document, rsa_key
from tests.support.live_desk import AUDIENCE, LiveDesk
from tests.support.misbehaving_jwks import MisbehavingJwks, misbehaving_jwks, reply
from tests.support.servers import running_changegate

FOREIGN_KEY = rsa_key("foreign")


@dataclass(frozen=True)
class Target:
    """A token that is good, and a server of the attacker's that must not be fetched."""

    claims: dict[str, Any]
    trap: MisbehavingJwks

    @property
    def good(self) -> str:
        return forge(header(), self.claims)

    def headed(self, **changes: Any) -> str:
        """Return the good claims and signature under a changed header."""
        _, payload, signature = self.good.split(".")
        return f"{b64(as_bytes(header(**changes)))}.{payload}.{signature}"

    def said(self, **changes: Any) -> str:
        """Return changed claims under the good header and signature."""
        head, _, signature = self.good.split(".")
        return f"{head}.{b64(as_bytes(self.claims | changes))}.{signature}"

    def unsigned(self, signature: bytes = b"", **changes: Any) -> str:
        return f"{self.headed(**changes).rpartition('.')[0]}.{b64(signature)}"

    def by_foreign_key(self, **changes: Any) -> str:
        return forge(header(**changes), self.claims, key=FOREIGN_KEY)

    def by_secret(self, secret: bytes, alg: str = "HS256", **changes: Any) -> str:
        return forge(header(alg=alg, **changes), self.claims, alg=alg, key=secret)


PLAYBOOKS: dict[str, Callable[[Target], list[str]]] = {
    "jwt_tool -X a": lambda t: [
        t.unsigned(signature, alg=alg) for alg in ("none", "None", "NONE", "nOnE") for signature in (b"", b"x")
    ],
    "jwt_tool -X n": lambda t: [t.unsigned(), t.good.rpartition(".")[0], t.unsigned(b"\0")],
    "jwt_tool -X b": lambda t: [t.by_secret(secret, alg) for secret in (b"", b"\0") for alg in ("HS256", "HS512")],
    "jwt_tool -X p": lambda t: [t.unsigned(bytes(64), alg="ES256"), t.unsigned(bytes(132), alg="ES512")],
    "jwt_tool -X s": lambda t: [
        t.by_foreign_key(jku=t.trap.url(), kid="foreign"),
        t.by_foreign_key(x5u=t.trap.url(), kid="foreign"),
        t.by_foreign_key(jku=t.trap.url()),
    ],
    "jwt_tool -X i": lambda t: [
        t.by_foreign_key(jwk=jwk(FOREIGN_KEY)),
        t.by_foreign_key(jwk=jwk(FOREIGN_KEY, "foreign"), kid="foreign"),
        t.by_foreign_key(jwk=jwk(FOREIGN_KEY), kid=...),
    ],
    "jwt_tool -X k": lambda t: [
        t.by_secret(spell(), alg) for spell in SPELLINGS.values() for alg in ("HS256", "HS384")
    ],
    "jwt_tool -I": lambda t: [
        t.by_secret(b"", kid="/dev/null"),
        t.by_secret(b"\0", kid="../../../../../../dev/null"),
        t.by_secret(b"secret", kid="x' UNION SELECT 'secret'; --"),
        t.by_secret(b"", kid="| sleep 10"),
        t.headed(kid=t.trap.url()),
    ],
    "jwt_tool -M pb": lambda t: [
        t.said(sub="admin"),
        t.said(exp=t.claims["exp"] + 86_400),
        t.said(iss=t.trap.url(), jti="other"),
        t.headed(alg="PS256"),
        t.headed(typ="at+jwt"),
        resigned(t.good, FOREIGN_KEY),
    ],
    "jwt_tool -M er": lambda t: [
        "",
        ".",
        "..",
        "a.b.c",
        f"{t.good}.",
        f"{t.good}.x",
        f"{t.good}=",
        t.good[:-1],
        json.dumps({"payload": t.good}),
        t.headed(alg={"a": 1}),
        t.headed(kid=["k1"]),
        f"{b64(b'{')}.{b64(b'}')}.{b64(b'x')}",
        ".".join(b64(bytes(3)) for _ in range(3)),
        "é.é.é",
    ],
    "jwt_tool -M cc": lambda t: [
        t.said(**{name: value})
        for name in ("admin", "role", "roles", "scope", "groups", "is_admin", "user", "client_id", "act")
        for value in (True, "admin", ["admin"])
    ],
}


@pytest.fixture(scope="module")
def provider() -> Iterator[MisbehavingJwks]:
    with misbehaving_jwks(reply(key_set_document(jwk(rsa_key())))) as running:
        yield running


@pytest.fixture(scope="module")
def live(new_instance: NewInstance, provider: MisbehavingJwks) -> Iterator[LiveDesk]:
    with running_changegate(new_instance(), ratelimit_enabled="0") as server:
        desk = LiveDesk.register(server, provider.url(path=""), "Pipeline")
        yield desk
        desk.close()


@pytest.mark.parametrize(
    "playbook", [pytest.param(plays, id=name, marks=pytest.mark.regression(name)) for name, plays in PLAYBOOKS.items()]
)
def test_a_playbook_gets_nothing(
    live: LiveDesk, provider: MisbehavingJwks, playbook: Callable[[Target], list[str]]
) -> None:
    now = int(time.time())
    claims = {"iss": provider.url(path=""), "sub": "pipeline", "aud": AUDIENCE, "iat": now, "exp": now + 300}
    with misbehaving_jwks(reply(key_set_document(jwk(FOREIGN_KEY, "foreign")))) as trap:
        target = Target({**claims, "jti": str(uuid.uuid4())}, trap)
        for token in playbook(target):
            answer = live.session.post(f"{live.url}/oauth_token.do", data=form(live, token), timeout=60)
            assert answer.status_code == 401, (token, answer.text)
            refusal = "access_denied" if token else "The request is malformed: assertion is missing"
            assert answer.json()["error_description"] == refusal
        assert trap.connections == 0

    assert live.exchange(target.good).status_code == 200, "nothing of all that used up the good token"


def form(live: LiveDesk, token: str) -> dict[str, str]:
    # Not `live.exchange`: it would have the provider sign where the token is empty.
    return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": token, **live.credentials}
