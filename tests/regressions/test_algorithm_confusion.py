"""The token chooses how it is verified: by no algorithm, by another one, or with a key that was made for another."""

import hmac

import jwt.algorithms
import pytest

from changegate.oauth_errors import AssertionRefused
from changegate.services.assertions.assertion import UnverifiedAssertion
from changegate.services.keys.shared_key import SharedKey
from tests.regressions.attack import EVERYTHING, LAX, NOT_COMPACT, Attack, assert_refused, attacks
from tests.support.attack_forms import (
    ORDER_P256,
    SPELLINGS,
    ecdsa,
    headed,
    json_serialised,
    signed_with,
    signed_with_a_public_key,
    with_segment,
    with_signature,
)
from tests.support.forge import NOW, b64, ec_key, ed25519_key, forge, header, jwk, rsa_key, unb64
from tests.support.token_desk import TokenDesk
from tests.support.trust import key_set, policy

HMACS = ("HS256", "HS384", "HS512")
# The ways to name no algorithm, each with what was fooled by it.
NO_ALGORITHMS = [
    ("CVE-2015-2951", "none"),
    ("CVE-2018-1000531", "None"),
    ("CVE-2021-22160", "NONE"),
    ("CVE-2023-29357", "nOnE"),
    ("CVE-2026-28802", ""),
    ("CVE-2026-28802", None),
    ("CVE-2026-28802", ...),
    ("RFC 8725 §3.1", 0),
    ("RFC 8725 §3.1", ["RS256"]),
    ("RFC 8725 §3.1", "rs256"),
    ("RFC 8725 §3.1", "RS256 "),
]


@attacks(
    *[
        Attack(flaw, f"{spelling}-{alg}", lambda s=spell, a=alg: signed_with_a_public_key(s, a), "alg_not_allowed", LAX)
        for (flaw, spelling), spell in SPELLINGS.items()
        for alg in HMACS
    ]
)
def test_refuses_a_public_key_that_served_as_a_shared_secret(attack: Attack) -> None:
    assert_refused(attack)


@pytest.mark.regression(*{flaw for flaw, _ in SPELLINGS})
def test_no_spelling_of_a_public_key_reaches_an_hmac(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_arguments: object, **_options: object) -> None:
        pytest.fail("a shared key was used")

    tokens = [signed_with_a_public_key(spell, "HS256") for spell in SPELLINGS.values()]
    for name in ("__init__", "prepare_key", "from_jwk", "sign", "verify"):
        monkeypatch.setattr(jwt.algorithms.HMACAlgorithm, name, explode)
    for name in ("new", "digest", "HMAC"):
        monkeypatch.setattr(hmac, name, explode)
    monkeypatch.setattr(SharedKey, "of_secret", explode)
    for token in tokens:
        unverified = UnverifiedAssertion.parse(token)
        with pytest.raises(AssertionRefused):
            unverified.verify(policy(algorithms=EVERYTHING), key_set(), now=NOW)


@attacks(
    *[
        Attack(flaw, f"{alg!r}-{kind}", lambda a=alg, s=signature: with_signature(s, alg=a), reason, LAX)
        for flaw, alg in NO_ALGORITHMS
        for kind, signature, reason in [("empty", b"", NOT_COMPACT), ("junk", b"junk", "alg_not_allowed")]
    ]
)
def test_refuses_a_token_that_names_no_algorithm(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack("CVE-2020-28042", "empty", lambda: with_signature(b""), NOT_COMPACT),
    Attack("CVE-2020-28042", "no-third-segment", lambda: forge().rpartition(".")[0], NOT_COMPACT),
    Attack("CVE-2020-28042", "one-byte", lambda: with_signature(b"\x01"), "signature_invalid"),
    Attack("CVE-2020-28042", "zeros", lambda: with_signature(bytes(256)), "signature_invalid"),
    Attack("CVE-2020-28042", "cut", lambda: with_segment(2, lambda s: b64(unb64(s)[:-1])), "signature_invalid"),
    Attack("CVE-2020-28042", "grown", lambda: with_segment(2, lambda s: "AAAA" + s), "signature_invalid"),
)
def test_refuses_a_signature_that_is_not_whole(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    *[
        Attack(
            "CVE-2022-21449",
            f"{alg}-zeros",
            lambda a=alg, n=size: with_signature(bytes(n), alg=a),
            "signature_invalid",
            LAX,
            keys=lambda a=alg: [jwk(ec_key(a))],
        )
        for alg, size in [("ES256", 64), ("ES384", 96), ("ES512", 132)]
    ],
    *[
        Attack(
            "CVE-2022-21449",
            name,
            lambda r=r, s=s: with_signature(ecdsa(r, s), alg="ES256", kid="k2"),
            "signature_invalid",
        )
        for name, r, s in [
            ("r=0", 0, 1),
            ("s=0", 1, 0),
            ("r=n", ORDER_P256, 1),
            ("s=n", 1, ORDER_P256),
            ("both=n", ORDER_P256, ORDER_P256),
        ]
    ],
)
def test_refuses_a_signature_of_zeros_that_fits_everything(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack("CVE-2020-15084", "no-algorithms", forge, "alg_not_allowed", {"algorithms": frozenset()}),
    Attack("CVE-2022-23540", "null-algorithms", forge, "signature_invalid", {"algorithms": None}),
)
def test_refuses_everything_when_no_algorithm_is_allowed(attack: Attack) -> None:
    assert_refused(attack)


@pytest.mark.regression("CVE-2020-15084", "CVE-2022-23540")
@pytest.mark.parametrize("algorithms", [None, []])
def test_an_integration_whose_algorithms_went_missing_admits_nothing(desk: TokenDesk, algorithms: object) -> None:
    integration = desk.register()
    desk.token(integration)

    desk.set(integration, algorithms=algorithms)

    assert desk.exchange(integration).status_code == 400
    assert desk.last_event().reason == "alg_not_allowed"


@attacks(
    Attack("CVE-2022-23539", "es256-for-rsa-key", lambda: signed_with(ec_key(), "ES256"), "key_unusable"),
    Attack("CVE-2022-23539", "rs256-for-ec-key", lambda: headed(kid="k2"), "key_unusable"),
    Attack(
        "CVE-2022-23539",
        "es256-for-p384-key",
        lambda: signed_with(ec_key(), "ES256"),
        "key_unusable",
        keys=lambda: [jwk(ec_key("ES384"))],
    ),
    Attack(
        "CVE-2022-23541",
        "ps256-for-rs256-key",
        lambda: signed_with(rsa_key(), "PS256"),
        "key_unusable",
        LAX,
        keys=lambda: [jwk(rsa_key(), alg="RS256")],
    ),
    *[
        Attack(
            "CVE-2021-46743",
            f"shared-key-in-the-set-kid-{kid}",
            lambda k=kid: signed_with(b"s" * 32, "HS256", kid=k),
            "alg_not_allowed",
            LAX,
            keys=lambda: [jwk(rsa_key(), "a"), {"kty": "oct", "kid": "b", "k": b64(b"s" * 32), "alg": "HS256"}],
        )
        for kid in ("a", "b")
    ],
    Attack(
        "CVE-2026-22818",
        "header-chooses-hs256",
        lambda: signed_with_a_public_key(SPELLINGS["CVE-2015-9235", "spki-pem"], "HS256"),
        "alg_not_allowed",
        keys=lambda: [jwk(rsa_key(), alg=...)],
    ),
    Attack(
        "CVE-2026-22817",
        "neither-header-nor-key-choose",
        lambda: forge(header(alg=...), alg="HS256", key=SPELLINGS["CVE-2015-9235", "spki-pem"]()),
        "alg_not_allowed",
        LAX,
        keys=lambda: [jwk(rsa_key(), alg=...)],
    ),
    Attack(
        "CVE-2026-48523",
        "key-is-rs512",
        forge,
        "key_unusable",
        {"algorithms": frozenset({"RS256"})},
        keys=lambda: [jwk(rsa_key(), alg="RS512")],
    ),
    Attack(
        "CVE-2026-48523",
        "key-is-hs256",
        forge,
        "kid_unknown",
        {"algorithms": frozenset({"RS256"})},
        keys=lambda: [jwk(rsa_key(), alg="HS256"), jwk(rsa_key("next"), "k9")],
    ),
    Attack("CVE-2026-48523", "alg-not-listed", lambda: signed_with(rsa_key(), "RS512"), "alg_not_allowed"),
    Attack("RFC 8725 §3.1", "eddsa-for-rsa-key", lambda: signed_with(ed25519_key(), "EdDSA"), "key_unusable", LAX),
    Attack(
        "RFC 8725 §3.1", "eddsa-not-listed", lambda: signed_with(ed25519_key(), "EdDSA", kid="k3"), "alg_not_allowed"
    ),
)
def test_refuses_an_algorithm_that_the_key_is_not_made_for(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    *[
        Attack(
            flaw,
            "rsa-1024",
            lambda: signed_with(rsa_key("weak", 1024), kid="weak"),
            "kid_unknown",
            keys=lambda: [jwk(rsa_key()), jwk(rsa_key("weak", 1024), "weak")],
        )
        for flaw in ("CVE-2025-65945", "CVE-2025-45768")
    ]
)
def test_refuses_a_key_too_weak_to_prove_anything(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack("GHSA-jc38-x7x8-2xc8", "flattened-json", lambda: json_serialised(flat=True), NOT_COMPACT),
    Attack("GHSA-jc38-x7x8-2xc8", "general-json", lambda: json_serialised(flat=False), NOT_COMPACT),
)
def test_refuses_a_serialisation_with_a_second_unprotected_header(attack: Attack) -> None:
    assert_refused(attack)
