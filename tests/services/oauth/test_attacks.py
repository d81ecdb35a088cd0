"""What went wrong elsewhere, one line each; the id names where. Every token here must be refused.

Tokens are forged from raw segments. Unless a line says otherwise they are signed with a key the set holds,
so that nothing but the flaw in question stands between the token and acceptance.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from changegate.errors import AssertionRefused
from changegate.services.oauth.assertion import UnverifiedAssertion
from changegate.services.oauth.key_set import KeySet
from tests.support.attack_forms import (
    ORDER_P256,
    SPELLINGS,
    certificate,
    ecdsa,
    encrypted,
    headed,
    json_serialised,
    literally,
    padded,
    padded_and_signed,
    said,
    signed_with,
    signed_with_a_public_key,
    spliced,
    trailing_bits,
    twice,
    utf_16,
    with_segment,
    with_signature,
    wrapped_in_json,
)
from tests.support.forge import (
    AUDIENCE,
    ISSUER,
    NOW,
    as_bytes,
    b64,
    claims,
    ec_key,
    ed25519_key,
    forge,
    header,
    jwk,
    key_set_document,
    rsa_key,
    unb64,
)
from tests.support.trust import key_set, policy

EVERYTHING = frozenset("RS256 RS384 RS512 PS256 ES256 ES384 ES512 EdDSA HS256 HS384 HS512 none".split())
SECONDS = int(NOW.timestamp())
OTHER = "https://other.example/token"
NOT_COMPACT = "assertion_not_compact_jws"
NO_SKEW = {"clock_skew": timedelta(0)}


@dataclass(frozen=True)
class Attack:
    """A token, the reason to refuse it for, and what differs in the policy and in the key set."""

    id: str
    token: Callable[[], str]
    reason: str
    policy: Mapping[str, Any] = field(default_factory=dict)
    keys: Callable[[], list[dict[str, Any]]] | None = None


# These policies name HS256 and none by mistake; the list alone must not make them work.
LAX = {"algorithms": EVERYTHING}

PUBLIC_KEY_AS_SECRET = [
    Attack(f"{name}-{alg}", lambda n=name, a=alg: signed_with_a_public_key(n, a), "alg_not_allowed", LAX)
    for name in SPELLINGS
    for alg in ("HS256", "HS384", "HS512")
]

NO_ALGORITHM = [
    Attack(f"{cve}-{alg!r}-{kind}", lambda a=alg, s=sig: with_signature(s, alg=a), reason, LAX)
    for cve, alg in [
        ("CVE-2015-2951", "none"),
        ("CVE-2018-1000531", "None"),
        ("CVE-2021-22160", "NONE"),
        ("CVE-2023-29357", "nOnE"),
        ("CVE-2026-28802", ""),
        ("CVE-2026-28802", None),
        ("CVE-2026-28802", ...),
        ("RFC-8725-3.1", 0),
        ("RFC-8725-3.1", ["RS256"]),
        ("RFC-8725-3.1", "rs256"),
        ("RFC-8725-3.1", "RS256 "),
    ]
    for kind, sig, reason in [("empty", b"", NOT_COMPACT), ("junk", b"junk", "alg_not_allowed")]
]

ALGORITHM_AND_KEY = [
    Attack("CVE-2020-28042-empty-signature", lambda: with_signature(b""), NOT_COMPACT),
    Attack("CVE-2020-28042-no-third-segment", lambda: forge().rpartition(".")[0], NOT_COMPACT),
    Attack("CVE-2020-28042-one-byte", lambda: with_signature(b"\x01"), "signature_invalid"),
    Attack("CVE-2020-28042-zeros", lambda: with_signature(bytes(256)), "signature_invalid"),
    Attack("CVE-2020-28042-cut", lambda: with_segment(2, lambda s: b64(unb64(s)[:-1])), "signature_invalid"),
    Attack("CVE-2020-28042-grown", lambda: with_segment(2, lambda s: "AAAA" + s), "signature_invalid"),
    *[
        Attack(
            f"CVE-2022-21449-{alg}-zeros",
            lambda a=alg, n=size: with_signature(bytes(n), alg=a),
            "signature_invalid",
            LAX,
            keys=lambda a=alg: [jwk(ec_key(a))],
        )
        for alg, size in [("ES256", 64), ("ES384", 96), ("ES512", 132)]
    ],
    *[
        Attack(
            f"CVE-2022-21449-{name}",
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
    Attack("CVE-2020-15084-no-algorithms", forge, "alg_not_allowed", {"algorithms": frozenset()}),
    Attack("CVE-2022-23540-null-algorithms", forge, "signature_invalid", {"algorithms": None}),
    Attack("CVE-2022-23539-es256-for-rsa-key", lambda: signed_with(ec_key(), "ES256"), "key_unusable"),
    Attack("CVE-2022-23539-rs256-for-ec-key", lambda: headed(kid="k2"), "key_unusable"),
    Attack(
        "CVE-2022-23541-ps256-for-rs256-key",
        lambda: signed_with(rsa_key(), "PS256"),
        "key_unusable",
        LAX,
        keys=lambda: [jwk(rsa_key(), alg="RS256")],
    ),
    Attack(
        "CVE-2022-23539-es256-for-p384-key",
        lambda: signed_with(ec_key(), "ES256"),
        "key_unusable",
        keys=lambda: [jwk(ec_key("ES384"))],
    ),
    Attack(
        "CVE-2021-46743-shared-key-in-the-set",
        lambda: signed_with(b"s" * 32, "HS256", kid="b"),
        "alg_not_allowed",
        LAX,
        keys=lambda: [jwk(rsa_key(), "a"), {"kty": "oct", "kid": "b", "k": b64(b"s" * 32), "alg": "HS256"}],
    ),
    Attack(
        "CVE-2026-22818-header-chooses-hs256",
        lambda: signed_with_a_public_key("CVE-2015-9235-spki-pem", "HS256"),
        "alg_not_allowed",
        keys=lambda: [jwk(rsa_key(), alg=...)],
    ),
    Attack(
        "CVE-2026-48523-key-is-rs512",
        forge,
        "key_unusable",
        {"algorithms": frozenset({"RS256"})},
        keys=lambda: [jwk(rsa_key(), alg="RS512")],
    ),
    Attack(
        "CVE-2026-48523-key-is-hs256",
        forge,
        "kid_unknown",
        {"algorithms": frozenset({"RS256"})},
        keys=lambda: [jwk(rsa_key(), alg="HS256"), jwk(rsa_key("next"), "k9")],
    ),
    Attack("CVE-2026-48523-alg-not-listed", lambda: signed_with(rsa_key(), "RS512"), "alg_not_allowed"),
    Attack(
        "CVE-2025-65945-rsa-1024",
        lambda: signed_with(rsa_key("weak", 1024), kid="weak"),
        "kid_unknown",
        keys=lambda: [jwk(rsa_key()), jwk(rsa_key("weak", 1024), "weak")],
    ),
    Attack("GHSA-jc38-flattened-json", lambda: json_serialised(flat=True), NOT_COMPACT),
    Attack("GHSA-jc38-general-json", lambda: json_serialised(flat=False), NOT_COMPACT),
    Attack("RFC-8725-3.1-eddsa-for-rsa", lambda: signed_with(ed25519_key(), "EdDSA"), "key_unusable", LAX),
    Attack("RFC-7515-9-unlisted", lambda: signed_with(ed25519_key(), "EdDSA", kid="k3"), "alg_not_allowed"),
]


def embedded(**head: Any) -> str:
    return signed_with(rsa_key("stranger"), jwk=jwk(rsa_key("stranger"), **head), **head)


KEYS_FROM_THE_ATTACKER = [
    Attack("CVE-2018-0114-embedded-jwk", embedded, "signature_invalid"),
    Attack("CVE-2026-27962-embedded-jwk-unknown-kid", lambda: embedded(kid="mine"), "kid_unknown"),
    Attack("CVE-2025-24976-embedded-jwk-empty-set", embedded, "kid_unknown", keys=list),
    Attack(
        "jwt-tool-X-i-embedded-jwk-without-kid",
        lambda: signed_with(rsa_key("stranger"), jwk=jwk(rsa_key("stranger")), kid=...),
        "signature_invalid",
    ),
    Attack(
        "jwt-tool-X-s-self-signed-x5c",
        lambda: signed_with(rsa_key("stranger"), x5c=[b64(certificate("stranger").signature)], kid="mine"),
        "kid_unknown",
    ),
    Attack("CVE-2021-41106-kid-is-a-path", lambda: headed(kid="../../dev/null"), "kid_unknown"),
    Attack("jwt-tool-I-kid-is-sql", lambda: headed(kid="' OR 1=1--"), "kid_unknown"),
    Attack("jwt-tool-I-kid-with-encoded-nul", lambda: headed(kid="k1%00"), "kid_unknown"),
    Attack("jwt-tool-I-kid-with-nul", lambda: headed(kid="k1\0"), "header_invalid"),
    Attack("jwt-tool-I-kid-in-other-letters", lambda: headed(kid="к1"), "kid_unknown"),
    Attack("jwt-tool-I-kid-with-other-direction", lambda: headed(kid="\u202e1k"), "header_invalid"),
    Attack("jwt-tool-I-kid-is-proto", lambda: headed(kid="__proto__"), "kid_unknown"),
    Attack("jwt-tool-I-kid-of-10-kB", lambda: headed(kid="k" * 10_000), "assertion_too_large"),
    Attack("jwt-tool-I-kid-of-257", lambda: headed(kid="k" * 257), "header_invalid"),
    Attack("jwt-tool-I-kid-is-empty", lambda: headed(kid=""), "header_invalid"),
    Attack("jwt-tool-I-kid-is-null", lambda: headed(kid=None), "header_invalid"),
    Attack("jwt-tool-I-kid-is-a-list", lambda: headed(kid=["k1"]), "header_invalid"),
    Attack("jwt-tool-I-kid-in-capitals", lambda: headed(kid="K1"), "kid_unknown"),
]

CRIT = [["x"], [], "b64", ["b64"], ["exp"], None]
EXPIRIES = ["1e400", "NaN", "Infinity", "-1", "true", "null", "[]", "{}", '"17"', "1" * 5000, "253402300800"]
UTF8_BOM = b"\xef\xbb\xbf"

PARSING = [
    Attack("CVE-2022-39227-json-around-segments", wrapped_in_json, NOT_COMPACT),
    Attack("CVE-2022-39227-another-payload", spliced, "signature_invalid"),
    Attack("CVE-2022-39227-dot-inside", lambda: with_segment(1, lambda s: s + "."), NOT_COMPACT),
    Attack("CVE-2022-3102-encrypted", encrypted, NOT_COMPACT),
    Attack("CVE-2023-51774-encrypted", encrypted, NOT_COMPACT, LAX),
    Attack("CVE-2026-29000-enc-in-three-segments", lambda: headed(enc="A256GCM"), "header_invalid"),
    Attack("CVE-2024-33664-zip", lambda: headed(zip="DEF"), "header_invalid"),
    Attack("CVE-2024-28180-zip-null", lambda: headed(zip=None), "header_invalid"),
    Attack("CVE-2025-62706-nested", lambda: headed(cty="JWT"), "header_invalid"),
    Attack("CVE-2025-27144-60-kB-of-dots", lambda: "." * 60_000, "assertion_too_large"),
    Attack("CVE-2025-30204-16-kB-of-dots", lambda: "." * 16_384, NOT_COMPACT),
    Attack("CVE-2025-61920-large-header", lambda: headed(x="x" * 2_100), "assertion_too_large"),
    Attack("CVE-2025-61920-large-payload", lambda: said(x="x" * 8_200), "assertion_too_large"),
    Attack("CVE-2025-61920-large-signature", lambda: with_signature(bytes(1_025)), "assertion_too_large"),
    *[Attack(f"CVE-2025-59420-crit-{crit}", lambda c=crit: headed(crit=c), "crit_present") for crit in CRIT],
    Attack("CVE-2026-32597-crit-b64-true", lambda: headed(crit=["b64"], b64=True), "crit_present"),
    Attack("CVE-2026-32597-crit-b64-false", lambda: headed(crit=["b64"], b64=False), "crit_present"),
    Attack("RFC-7797-b64-alone", lambda: headed(b64=True), "header_invalid"),
    Attack(
        "CVE-2026-48525-b64-false-with-1-MB",
        lambda: f"{b64(as_bytes(header(b64=False, crit=['b64'])))}.{'x' * 1_000_000}.{b64(bytes(256))}",
        "assertion_too_large",
    ),
    Attack("CVE-2019-17195-200k-deep-header", lambda: forge("[" * 200_000), "assertion_too_large"),
    Attack("CVE-2026-102265-deep-header", lambda: forge('{"alg":' + "[" * 2_000), "header_invalid"),
    Attack("CVE-2026-101918-deep-payload", lambda: forge(payload='{"x":' + "[" * 8_000), "payload_invalid"),
    Attack("CVE-2026-101918-closed", lambda: forge(payload="[" * 4_000 + "]" * 4_000), "payload_invalid"),
    Attack(
        "CVE-2026-101918-depth-9",
        lambda: forge(payload=literally("deep", "[" * 8 + "]" * 8)),
        "payload_invalid",
    ),
    *[
        Attack(
            f"CVE-2026-102269-{name}-{part}",
            lambda c=change, p=position: with_segment(p, c),
            NOT_COMPACT,
        )
        for position, part in enumerate(("header", "payload", "signature"))
        for name, change in {
            "blank-inside": lambda s: s[:9] + " " + s[9:],
            "newline-behind": lambda s: s + "\n",
            "junk-behind": lambda s: s + "!!!!",
            "standard-alphabet": lambda s: "+/+/" + s,
            "equals-inside": lambda s: s[:8] + "====" + s[8:],
            "other-digits": lambda s: s[:9] + "٣" + s[9:],
        }.items()
    ],
    Attack("CVE-2026-102269-trailing-bits", lambda: with_segment(2, trailing_bits), NOT_COMPACT),
    Attack("CVE-2026-102269-padded-signature", lambda: with_segment(2, padded), NOT_COMPACT),
    Attack("CVE-2026-102269-padded-header", lambda: padded_and_signed(0), NOT_COMPACT),
    Attack("CVE-2026-102269-padded-payload", lambda: padded_and_signed(1), NOT_COMPACT),
    Attack(
        "CVE-2024-51744-expired-and-badly-signed",
        lambda: forge(payload=claims(exp=SECONDS - 900), key=rsa_key("stranger")),
        "signature_invalid",
    ),
    Attack("RFC-8725-3.7-utf-16-head", lambda: forge(utf_16(header())), "header_invalid"),
    Attack("RFC-8725-3.7-utf-16", lambda: forge(payload=utf_16(claims())), "payload_invalid"),
    Attack("RFC-8259-8.1-bom-head", lambda: forge(UTF8_BOM + as_bytes(header())), "header_invalid"),
    Attack("RFC-8259-8.1-bom", lambda: forge(payload=UTF8_BOM + as_bytes(claims())), "payload_invalid"),
    Attack("RFC-8259-8.1-not-utf-8", lambda: forge(payload=b'{"iss": "\xff"}'), "payload_invalid"),
    Attack("RFC-7515-4-two-algs", lambda: forge(twice(header(alg="none"), "alg", "RS256")), "header_invalid"),
    Attack("RFC-7515-4-two-kids", lambda: forge(twice(header(), "kid", "k1")), "header_invalid"),
    *[
        Attack(f"RFC-7519-4-two-{n}", lambda n=n: forge(payload=twice(claims(), n, "x")), "payload_invalid")
        for n in ("sub", "aud", "exp")
    ],
    Attack(
        "RFC-7519-4-two-of-a-nested-name",
        lambda: forge(payload=literally("x", '{"y": 1, "y": 2}')),
        "payload_invalid",
    ),
    *[
        Attack(
            f"RFC-7519-2-exp-{text[:12]}",
            lambda t=text: forge(payload=literally("exp", t)),
            "payload_invalid" if text in {"NaN", "Infinity", "1e400"} or len(text) > 19 else "exp_missing",
        )
        for text in EXPIRIES
    ],
    Attack("RFC-7519-7.2-payload-is-a-list", lambda: forge(payload=[claims()]), "payload_invalid"),
    Attack("RFC-7519-7.2-payload-is-text", lambda: forge(payload='"claims"'), "payload_invalid"),
    Attack("RFC-7519-7.2-payload-is-empty", lambda: forge(payload={}), "payload_invalid"),
    Attack("RFC-7519-7.2-payload-is-no-json", lambda: forge(payload="claims"), "payload_invalid"),
    Attack("RFC-7519-7.2-header-is-a-list", lambda: forge([header()]), "header_invalid"),
    Attack("RFC-8725-3.10-65-claims", lambda: said(**{f"c{n}": n for n in range(59)}), "payload_invalid"),
    Attack("RFC-8725-3.10-nul-in-sub", lambda: said(sub="build-42\0"), "payload_invalid"),
    Attack("RFC-8725-3.10-lone-surrogate-in-sub", lambda: said(sub="build-42\ud800"), "payload_invalid"),
    Attack("RFC-8725-3.10-turned-sub", lambda: said(sub="\u202e24-dliub"), "payload_invalid"),
    Attack("RFC-8725-3.10-blank-behind-sub", lambda: said(sub="build-42 "), "payload_invalid"),
    Attack("RFC-7523-3-no-sub", lambda: said(sub=...), "payload_invalid"),
    Attack("RFC-7523-3-empty-sub", lambda: said(sub=""), "payload_invalid"),
    Attack("RFC-7523-3-sub-is-a-number", lambda: said(sub=42), "payload_invalid"),
    Attack("RFC-7523-3-sub-of-256", lambda: said(sub="s" * 256), "payload_invalid"),
]

FOREIGN_TYPES = [
    "client-authentication+jwt",
    "dpop+jwt",
    "logout+jwt",
    "secevent+jwt",
    "token-introspection+jwt",
    "oauth-authz-req+jwt",
    "entity-statement+jwt",
    "at+jwt",
    "application/at+jwt",
    "application/application/jwt",
    "",
    None,
    1,
    ["JWT"],
]
BAD_ISSUERS = {
    "CVE-2024-53861-prefix": ISSUER[:-1],
    "CVE-2024-53861-one-letter": "h",
    "CVE-2024-53861-empty": "",
    "CVE-2024-53861-longer": ISSUER + "d",
    "CVE-2024-53861-suffix": ISSUER[8:],
    "CVE-2025-30144-list": [ISSUER],
    "CVE-2018-15801-other": "https://idp.example/xyz",
    "CVE-2018-15801-missing": ...,
    "CVE-2018-15801-null": None,
    "RFC-7523-3-slash": ISSUER + "/",
    "RFC-7523-3-capitals": ISSUER.upper(),
    "RFC-7523-3-homoglyph": ISSUER.replace("a", "\N{CYRILLIC SMALL LETTER A}"),
}
BAD_AUDIENCES = {
    "CVE-2020-26160-empty-list": [],
    "CVE-2020-26160-empty-text-in-list": [""],
    "CVE-2020-26160-null": None,
    "CVE-2020-26160-object": {AUDIENCE: AUDIENCE},
    "CVE-2020-26160-number": 0,
    "CVE-2020-26160-missing": ...,
    "CVE-2020-26160-nested-list": [[AUDIENCE]],
    "CVE-2020-26160-list-with-null": [AUDIENCE, None],
    "CVE-2024-5798-part": AUDIENCE[:-1],
    "CVE-2024-5798-longer": AUDIENCE + "0",
    "CVE-2023-22482-another": "argo-cd",
    "CVE-2026-55459-another-in-a-list": ["argo-cd"],
    "RFC-7523-3-capitals": AUDIENCE.upper(),
    "RFC-7523-3-joined": f"{AUDIENCE} {OTHER}",
}

CLAIMS = [
    *[Attack(f"{n}-iss", lambda v=value: said(iss=v), "iss_mismatch") for n, value in BAD_ISSUERS.items()],
    Attack("CVE-2024-47807-null-issuer", lambda: said(iss=None), "iss_mismatch", {"issuer": None}),
    Attack("CVE-2024-47807-empty-issuer", lambda: said(iss=""), "iss_mismatch", {"issuer": ""}),
    *[Attack(f"{n}-aud", lambda v=value: said(aud=v), "aud_mismatch") for n, value in BAD_AUDIENCES.items()],
    Attack("CVE-2024-47806-no-audience", forge, "aud_mismatch", {"audiences": frozenset()}),
    Attack("CVE-2023-36820-empty-audience", lambda: said(aud=""), "aud_mismatch", {"audiences": {""}}),
    Attack("GHSA-hcxc-null-audience", forge, "payload_invalid", {"audiences": None}),
    Attack("CVE-2025-27370-ours-and-another", lambda: said(aud=[AUDIENCE, OTHER]), "aud_multiple"),
    Attack("CVE-2025-27370-another-and-ours", lambda: said(aud=[OTHER, AUDIENCE]), "aud_multiple"),
    Attack("CVE-2025-27370-ours-twice", lambda: said(aud=[AUDIENCE, AUDIENCE]), "aud_multiple"),
    Attack("CVE-2025-27371-another-server", lambda: said(aud=OTHER, client_id=AUDIENCE), "aud_mismatch"),
    Attack(
        "CVE-2024-5798-additional-audiences-need-ours",
        lambda: said(aud=[OTHER, "argo-cd"]),
        "aud_mismatch",
        {"allow_additional_audiences": True},
    ),
    *[Attack(f"CVE-2025-27371-{t}", lambda t=t: headed(typ=t), "typ_not_allowed") for t in FOREIGN_TYPES],
    Attack("CVE-2026-45069-no-exp", lambda: said(exp=...), "exp_missing"),
    Attack("CVE-2026-45069-no-iat", lambda: said(iat=...), "iat_invalid"),
    Attack("CVE-2026-45069-no-jti", lambda: said(jti=...), "jti_missing"),
    Attack("CVE-2026-45069-empty-jti", lambda: said(jti=""), "jti_missing"),
    Attack("CVE-2026-45069-jti-is-a-number", lambda: said(jti=7), "jti_missing"),
    Attack("CVE-2026-45069-jti-of-256", lambda: said(jti="j" * 256), "jti_missing"),
    Attack("RFC-7519-4.1.7-null-jti", lambda: said(jti=None), "jti_missing", {"jti_required": False}),
    Attack("RFC-7523-3-year-long", lambda: said(exp=SECONDS + 31_536_000), "lifetime_too_long"),
    Attack("keycloak-38576-days", lambda: said(exp=SECONDS + 300_000, iat=SECONDS - 5), "lifetime_too_long"),
    Attack("RFC-7523-3-long-by-a-second", lambda: said(exp=SECONDS + 3601), "lifetime_too_long"),
    Attack("RFC-7523-3-long-without-iat", lambda: said(exp=SECONDS + 9_000, iat=...), "lifetime_too_long"),
    Attack("RFC-7523-3-issued-ahead", lambda: said(iat=SECONDS + 61), "iat_invalid"),
    Attack("RFC-7523-3-issued-after-expiry", lambda: said(exp=SECONDS + 5, iat=SECONDS + 6), "iat_invalid"),
    Attack("RFC-7523-3-iat-is-true", lambda: said(iat=True), "iat_invalid"),
    Attack("RFC-7523-3-iat-is-text", lambda: said(iat=str(SECONDS)), "iat_invalid"),
    Attack("RFC-7523-3-nbf-ahead", lambda: said(nbf=SECONDS + 61), "not_yet_valid"),
    Attack("RFC-7523-3-nbf-is-null", lambda: said(nbf=None), "not_yet_valid"),
    Attack("RFC-7523-3-nbf-is-text", lambda: said(nbf=str(SECONDS)), "not_yet_valid"),
    Attack("RFC-7800-3-sender-constrained", lambda: said(cnf={"jkt": "x"}), "payload_invalid"),
    Attack("RFC-7800-3-null-cnf", lambda: said(cnf=None), "payload_invalid"),
    Attack("RFC-8693-4.1-delegated", lambda: said(act={"sub": "admin"}), "payload_invalid"),
    Attack("Storm-0558-same-kid-other-key", lambda: signed_with(rsa_key("consumer")), "signature_invalid"),
    Attack("Storm-0558-other-iss-right-key", lambda: said(iss="https://consumer.example"), "iss_mismatch"),
    Attack("skew-0-exp-is-now", lambda: said(exp=SECONDS), "expired", NO_SKEW),
    Attack("skew-0-exp-has-been", lambda: said(exp=SECONDS - 1), "expired", NO_SKEW),
    Attack("skew-0-iat-ahead", lambda: said(iat=SECONDS + 1), "iat_invalid", NO_SKEW),
    Attack("skew-60-exp-a-minute-ago", lambda: said(iat=SECONDS - 300, exp=SECONDS - 60), "expired"),
    Attack("null-skew-in-policy", forge, "payload_invalid", {"clock_skew": None}),
]

ATTACKS = [
    *PUBLIC_KEY_AS_SECRET,
    *NO_ALGORITHM,
    *ALGORITHM_AND_KEY,
    *KEYS_FROM_THE_ATTACKER,
    *PARSING,
    *CLAIMS,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.id for attack in ATTACKS])
def test_refuses(attack: Attack) -> None:
    keys = key_set()
    if attack.keys:
        described = attack.keys()
        keys = KeySet.parse(key_set_document(*described)) if described else KeySet(keys=(), ignored=())
    with pytest.raises(AssertionRefused) as refused:
        UnverifiedAssertion.parse(attack.token()).verify(policy(**attack.policy), keys, now=NOW)
    assert refused.value.reason == attack.reason
    assert refused.value.report.reason == attack.reason


def test_every_attack_has_a_line_of_its_own() -> None:
    names = [attack.id for attack in ATTACKS]
    assert len(names) == len(set(names))


def test_accepts_the_token_the_attacks_start_from() -> None:
    verified = UnverifiedAssertion.parse(forge()).verify(policy(), key_set(), now=NOW)
    assert verified.subject == "build-42"
