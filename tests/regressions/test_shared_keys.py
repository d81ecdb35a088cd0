"""Keys that an administrator types in: blank, short or public ones, and ones that are used as what they are not."""

import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from marshmallow import ValidationError

from changegate.errors import InputInvalid
from changegate.sealed import seal
from tests.support.attack_forms import SPELLINGS, certificate
from tests.support.forge import NOW, as_bytes, b64, forge, header, jwk, key_set_document, rsa_key, sign, unb64
from tests.support.token_desk import Integration, TokenDesk

SECRET = "k2!Xr9-wq#Lm4_Zt7.Pv0~Bn6^Hc3+Jd8"
CERTIFICATE = certificate().public_bytes(Encoding.PEM).decode()
WEAK = rsa_key("weak", 1024)
BLANK = ("CVE-2019-20933", "CVE-2020-28637", "CVE-2026-114616")


def shared(desk: TokenDesk, secret: str = SECRET, **changes: Any) -> Integration:
    """Register an integration whose assertions are signed with a shared key, which is called b."""
    maps = [{"name": "Signer", "kid": "b", "shared_key": secret}]
    wanted = {"jwks_url": ..., "key_source": "shared_key", "verifier_maps": maps, "algorithms": ["HS256"]}
    return desk.register("Shared", **(wanted | changes))


def certified(desk: TokenDesk, **changes: Any) -> Integration:
    """Register an integration whose key is in a certificate, which is called a."""
    maps = [{"name": "Signer", "kid": "a", "certificate": CERTIFICATE, "enforce_dates": False}]
    return desk.register(
        "Certified", **({"jwks_url": ..., "key_source": "certificates", "verifier_maps": maps} | changes)
    )


def by_secret(desk: TokenDesk, secret: bytes, alg: str = "HS256", **head: Any) -> str:
    """Return a good assertion, signed with a secret."""
    signing_input = f"{b64(as_bytes(header(alg=alg, **head)))}.{desk.assertion().split('.')[1]}"
    return f"{signing_input}.{b64(sign(alg, secret, signing_input.encode()))}"


def reason(desk: TokenDesk, integration: Integration, assertion: str) -> str | None:
    answer = desk.exchange(integration, assertion=assertion)
    assert (answer.status_code == 200) == desk.last_event().is_accepted
    found: str | None = desk.last_event().reason
    return found


@pytest.mark.regression(*BLANK, "CVE-2025-45768")
@pytest.mark.parametrize(
    "secret", ["", " ", " " * 40, "x", "sixteen bytes!!!", SECRET[:31], "a" * 64], ids=lambda secret: repr(secret[:16])
)
def test_a_key_that_proves_nothing_cannot_be_saved(desk: TokenDesk, secret: str) -> None:
    with pytest.raises((InputInvalid, ValidationError)) as refused:
        shared(desk, secret)
    assert "verifier_maps" in str(getattr(refused.value, "fields", None) or refused.value.args[0])


@pytest.mark.regression(*BLANK)
@pytest.mark.parametrize("secret", [b"", b"\0", b" ", b"None", b"null"])
def test_a_blank_secret_signs_nothing(desk: TokenDesk, secret: bytes) -> None:
    integration = shared(desk)
    assert reason(desk, integration, by_secret(desk, SECRET.encode(), kid="b")) is None
    assert reason(desk, integration, by_secret(desk, secret, kid="b")) == "signature_invalid"


@pytest.mark.regression(*BLANK)
@pytest.mark.parametrize("stored", [None, "", "[]", "null", "{}", "empty", "short"])
def test_a_secret_that_went_missing_in_the_database_verifies_nothing(desk: TokenDesk, stored: str | None) -> None:
    integration = shared(desk)
    if stored in ("empty", "short"):
        with desk.app.app_context():
            sealed = seal(b"" if stored == "empty" else b"x" * 16, purpose="here")
        stored = json.dumps([{"kid": "b", "sealed": sealed, "purpose": "here"}])

    desk.set(integration, static_keys=stored)

    for secret in (b"", b"x" * 16, SECRET.encode(), b"None"):
        assert desk.exchange(integration, assertion=by_secret(desk, secret, kid="b")).status_code in {400, 503}


@pytest.mark.regression("CVE-2025-65945", "CVE-2025-45768")
def test_a_weak_key_cannot_be_saved(desk: TokenDesk) -> None:
    weak = certificate("weak", 1024).public_bytes(Encoding.PEM).decode()
    for changes in (
        {"key_source": "certificates", "verifier_maps": [{"name": "Signer", "certificate": weak}]},
        {"key_source": "jwks", "jwks": key_set_document(jwk(WEAK)).decode()},
    ):
        with pytest.raises(InputInvalid) as refused:
            desk.register("Weak", jwks_url=..., **changes)
        assert "1024 bits" in str(refused.value.fields)


@pytest.mark.regression("CVE-2021-46743", "CVE-2022-23541")
def test_the_kid_of_a_certificate_makes_no_secret_of_it(desk: TokenDesk) -> None:
    public, secret = certified(desk), shared(desk)
    rsa = forge(header(kid="a"), _claims(desk))
    assert reason(desk, public, rsa) is None

    desk.set(public, algorithms=["RS256", "HS256"])
    desk.set(secret, algorithms=["RS256", "HS256"])

    for spell in SPELLINGS.values():
        assert reason(desk, public, by_secret(desk, spell(), kid="a")) == "alg_not_allowed"
    assert reason(desk, public, by_secret(desk, SECRET.encode(), kid="b")) == "alg_not_allowed"
    assert reason(desk, secret, forge(header(kid="b"), _claims(desk))) == "alg_not_allowed"
    assert reason(desk, secret, by_secret(desk, CERTIFICATE.encode(), kid="a")) == "kid_unknown"


def _claims(desk: TokenDesk) -> dict[str, Any]:
    claims: dict[str, Any] = json.loads(unb64(desk.assertion().split(".")[1]))
    return claims


@pytest.mark.regression("CVE-2021-46743", "CVE-2022-23540")
def test_algorithms_of_both_natures_cannot_be_saved_together(desk: TokenDesk) -> None:
    for register, algorithms in ((certified, ["RS256", "HS256"]), (shared, ["HS256", "RS256"]), (shared, ["none"])):
        with pytest.raises(ValidationError) as refused:
            register(desk, algorithms=algorithms)
        assert "algorithms" in refused.value.args[0]


@pytest.mark.regression("CVE-2015-9235", "CVE-2026-48526", "CVE-2026-102273")
@pytest.mark.parametrize(
    "public", [CERTIFICATE, json.dumps(jwk(rsa_key())), key_set_document(jwk(rsa_key())).decode()],
    ids=["certificate", "jwk", "key set"],
)  # fmt: skip
def test_a_public_key_cannot_be_saved_as_a_shared_key(desk: TokenDesk, public: str) -> None:
    with pytest.raises(ValidationError) as refused:
        shared(desk, public)
    assert "verifier_maps" in refused.value.args[0]


@pytest.mark.regression("hydra#3610")
def test_a_certificate_whose_time_is_over_exchanges_nothing(desk: TokenDesk) -> None:
    integration = certified(desk, verifier_maps=[{"name": "Signer", "kid": "a", "certificate": CERTIFICATE}])
    ends_at = NOW + timedelta(days=9)

    for now, verdict in ((ends_at, None), (ends_at + timedelta(seconds=1), "certificate_expired")):
        desk.app.config["CLOCK"] = lambda now=now: now
        assert reason(desk, integration, forge(header(kid="a"), _claims(desk))) == verdict
