"""One token that two readers understand differently, or that is too costly to read."""

import ast
from typing import Any

import pytest

from changegate.services.assertions.assertion import UnverifiedAssertion
from tests.guards.source_tree import PRODUCT, parsed, python_files
from tests.regressions.attack import LAX, NOT_COMPACT, Attack, assert_refused, attacks
from tests.support.attack_forms import (
    encrypted,
    headed,
    json_serialised,
    literally,
    padded,
    padded_and_signed,
    said,
    spliced,
    trailing_bits,
    twice,
    utf_16,
    with_segment,
    with_signature,
    wrapped_in_json,
)
from tests.support.forge import NOW, as_bytes, b64, claims, forge, header, rsa_key
from tests.support.processor import assert_cheap
from tests.support.token_desk import Integration, TokenDesk
from tests.support.trust import key_set, policy

SECONDS = int(NOW.timestamp())
ESCAPED = "\\u0041"
UTF8_BOM = b"\xef\xbb\xbf"


@attacks(
    Attack("CVE-2022-39227", "json-around-segments", wrapped_in_json, NOT_COMPACT),
    Attack("CVE-2022-39227", "another-payload", spliced, "signature_invalid"),
    Attack("CVE-2022-39227", "dot-inside", lambda: with_segment(1, lambda s: s + "."), NOT_COMPACT),
)
def test_reads_one_serialisation_only(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack("CVE-2022-3102", "encrypted", encrypted, NOT_COMPACT),
    Attack("CVE-2023-51774", "encrypted", encrypted, NOT_COMPACT, LAX),
    Attack("CVE-2026-29000", "unsigned-inside-encrypted", encrypted, NOT_COMPACT, LAX),
    Attack("CVE-2026-29000", "enc-in-three-segments", lambda: headed(enc="A256GCM"), "header_invalid"),
    Attack("CVE-2026-29000", "nested", lambda: headed(cty="JWT"), "header_invalid"),
)
def test_refuses_an_encrypted_token_before_any_cryptography(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("changegate.services.keys.key_set.is_signed_by", lambda *_: pytest.fail("a key was used"))
    assert_refused(attack)


@attacks(
    Attack("CVE-2024-33664", "zip", lambda: headed(zip="DEF"), "header_invalid"),
    Attack("CVE-2024-28180", "zip-null", lambda: headed(zip=None), "header_invalid"),
    Attack("CVE-2025-62706", "zip-and-enc", lambda: headed(zip="DEF", enc="A128GCM"), "header_invalid"),
)
def test_refuses_a_compressed_token(attack: Attack) -> None:
    assert_refused(attack)


@pytest.mark.regression("CVE-2024-33664", "CVE-2024-28180", "CVE-2025-62706")
def test_nothing_that_reads_assertions_can_inflate() -> None:
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for path in python_files(PRODUCT / "services" / "oauth")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert "urlsafe_b64decode" in names, "the names are read at all"
    assert not {name for name in names if any(word in name.lower() for word in ("decompress", "inflat", "gzip"))}


EXPENSIVE = [
    Attack("CVE-2025-27144", "60-kB-of-dots", lambda: "." * 60_000, "assertion_too_large"),
    Attack("CVE-2025-30204", "16-kB-of-dots", lambda: "." * 16_384, NOT_COMPACT),
    Attack("CVE-2025-61920", "large-header", lambda: headed(x="x" * 2_100), "assertion_too_large"),
    Attack("CVE-2025-61920", "large-payload", lambda: said(x="x" * 8_200), "assertion_too_large"),
    Attack("CVE-2025-61920", "large-signature", lambda: with_signature(bytes(1_025)), "assertion_too_large"),
    Attack("CVE-2025-61920", "a-million-letters", lambda: "a" * 1_000_000, "assertion_too_large"),
    Attack("CVE-2025-61920", "two-dots-in-a-million", lambda: f"a.{'a' * 1_000_000}.a", "assertion_too_large"),
    Attack("CVE-2025-61920", "nothing-but-padding", lambda: ".".join(["=" * 5_000] * 3), "assertion_too_large"),
    Attack("CVE-2025-61920", "500-claims", lambda: forge(payload={f"c{n}": n for n in range(500)}), "payload_invalid"),
    Attack(
        "CVE-2026-48525",
        "b64-false-with-1-MB",
        lambda: f"{b64(as_bytes(header(b64=False, crit=['b64'])))}.{'x' * 1_000_000}.{b64(bytes(256))}",
        "assertion_too_large",
    ),
    Attack("CVE-2019-17195", "header-200k-deep", lambda: forge("[" * 200_000), "assertion_too_large"),
    Attack("CVE-2019-17195", "payload-200k-deep", lambda: forge(payload="[" * 200_000), "assertion_too_large"),
    Attack("CVE-2026-102265", "header-as-deep-as-fits", lambda: forge('{"alg":' + "[" * 2_000), "header_invalid"),
    Attack("CVE-2026-101918", "payload-as-deep-as-fits", lambda: forge(payload="[" * 8_192), "payload_invalid"),
    Attack("CVE-2026-101918", "in-a-claim", lambda: forge(payload='{"x":' + "[" * 8_000), "payload_invalid"),
    Attack("CVE-2026-101918", "objects", lambda: forge(payload='{"a":' * 1_600), "payload_invalid"),
    Attack("CVE-2026-101918", "closed", lambda: forge(payload="[" * 4_000 + "]" * 4_000), "payload_invalid"),
    Attack("CVE-2026-101918", "depth-9", lambda: forge(payload=literally("x", "[" * 8 + "]" * 8)), "payload_invalid"),
    Attack("RFC 8259 §9", "8000-digits", lambda: forge(payload='{"exp":' + "9" * 8_000 + "}"), "payload_invalid"),
    Attack("RFC 8259 §9", "8000-exponent", lambda: forge(payload='{"exp":1e' + "9" * 8_000 + "}"), "payload_invalid"),
    Attack("RFC 8259 §9", "nothing-but-escapes", lambda: forge(payload=f'"{ESCAPED * 1_300}"'), "payload_invalid"),
    Attack("RFC 8725 §3.10", "65-claims", lambda: said(**{f"c{n}": n for n in range(59)}), "payload_invalid"),
    Attack("CVE-2022-39227", "general-json", lambda: json_serialised(flat=False), NOT_COMPACT),
]


@attacks(*EXPENSIVE)
def test_refuses_excessive_input_at_bounded_cost(attack: Attack) -> None:
    key_set()
    token = attack.token()
    assert_cheap(lambda: assert_refused(Attack(attack.flaw, attack.form, lambda: token, attack.reason)))


@pytest.mark.regression(*{attack.flaw for attack in EXPENSIVE})
def test_the_token_endpoint_refuses_excessive_input_at_bounded_cost(desk: TokenDesk, integration: Integration) -> None:
    desk.token(integration)
    for attack in EXPENSIVE:
        form = desk.form(integration, assertion=attack.token())
        assert_cheap(lambda form=form: assert_turned_away(desk, form))


def assert_turned_away(desk: TokenDesk, form: dict[str, Any]) -> None:
    assert desk.send(form).status_code in {400, 413}


@attacks(
    *[
        Attack("CVE-2025-59420", f"crit-{crit}", lambda c=crit: headed(crit=c), "crit_present")
        for crit in [["x"], [], "b64", ["b64"], ["exp"], None]
    ],
    Attack("CVE-2026-32597", "crit-b64-true", lambda: headed(crit=["b64"], b64=True), "crit_present"),
    Attack("CVE-2026-32597", "crit-b64-false", lambda: headed(crit=["b64"], b64=False), "crit_present"),
    Attack("CVE-2026-32597", "b64-alone", lambda: headed(b64=True), "header_invalid"),
)
def test_refuses_a_header_that_demands_more_than_is_understood(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    *[
        Attack("CVE-2026-102269", f"{name}-{part}", lambda c=change, p=position: with_segment(p, c), NOT_COMPACT)
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
    Attack("CVE-2026-102269", "trailing-bits", lambda: with_segment(2, trailing_bits), NOT_COMPACT),
    Attack("PyJWT 2.15.1", "padded-signature", lambda: with_segment(2, padded), NOT_COMPACT),
    Attack("PyJWT 2.15.1", "padded-header", lambda: padded_and_signed(0), NOT_COMPACT),
    Attack("PyJWT 2.15.1", "padded-payload", lambda: padded_and_signed(1), NOT_COMPACT),
)
def test_a_token_has_one_spelling(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack(
        "CVE-2024-51744",
        "expired-and-badly-signed",
        lambda: forge(payload=claims(exp=SECONDS - 900, sub="secret-subject"), key=rsa_key("foreign")),
        "signature_invalid",
    )
)
def test_a_bad_signature_is_said_first_and_no_claim_at_all(attack: Attack) -> None:
    report = assert_refused(attack).report
    assert report.results[-1].rule == "signature"
    assert "secret-subject" not in str(report.as_rows())


@attacks(
    Attack("RFC 8725 §3.7", "utf-16-header", lambda: forge(utf_16(header())), "header_invalid"),
    Attack("RFC 8725 §3.7", "utf-16-payload", lambda: forge(payload=utf_16(claims())), "payload_invalid"),
    Attack(
        "RFC 8725 §3.7",
        "utf-32-payload",
        lambda: forge(payload=as_bytes(claims()).decode().encode("utf-32")),
        "payload_invalid",
    ),
    Attack("RFC 8725 §3.7", "not-utf-8", lambda: forge(payload=b'{"iss": "\xff"}'), "payload_invalid"),
    Attack("RFC 8259 §8.1", "bom-header", lambda: forge(UTF8_BOM + as_bytes(header())), "header_invalid"),
    Attack("RFC 8259 §8.1", "bom-payload", lambda: forge(payload=UTF8_BOM + as_bytes(claims())), "payload_invalid"),
    Attack("RFC 7515 §4", "two-algs", lambda: forge(twice(header(alg="none"), "alg", "RS256")), "header_invalid"),
    Attack("RFC 7515 §4", "two-kids", lambda: forge(twice(header(), "kid", "k1")), "header_invalid"),
    *[
        Attack("RFC 7519 §4", f"two-{n}", lambda n=n: forge(payload=twice(claims(), n, "x")), "payload_invalid")
        for n in ("sub", "aud", "exp")
    ],
    Attack(
        "RFC 7519 §4", "two-in-a-claim", lambda: forge(payload=literally("x", '{"y": 1, "y": 2}')), "payload_invalid"
    ),
    Attack("RFC 7519 §7.2", "payload-is-a-list", lambda: forge(payload=[claims()]), "payload_invalid"),
    Attack("RFC 7519 §7.2", "payload-is-text", lambda: forge(payload='"claims"'), "payload_invalid"),
    Attack("RFC 7519 §7.2", "payload-is-empty", lambda: forge(payload={}), "payload_invalid"),
    Attack("RFC 7519 §7.2", "payload-is-no-json", lambda: forge(payload="claims"), "payload_invalid"),
    Attack("RFC 7519 §7.2", "header-is-a-list", lambda: forge([header()]), "header_invalid"),
)
def test_refuses_what_two_readers_would_read_differently(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    *[
        Attack("RFC 7519 §2", f"exp-{text}", lambda t=text: forge(payload=literally("exp", t)), "exp_missing")
        for text in ["-1", "true", "null", "[]", "[[1]]", "{}", '"17"', f'"{SECONDS + 60}"', "253402300800"]
    ],
    *[
        Attack("RFC 8259 §6", f"exp-{text}", lambda t=text: forge(payload=literally("exp", t)), "payload_invalid")
        for text in ["1e400", "NaN", "Infinity", "1" * 20]
    ],
)
def test_a_time_is_a_number_that_a_calendar_has(attack: Attack) -> None:
    assert_refused(attack)


@attacks(
    Attack("RFC 8725 §3.10", "nul-in-sub", lambda: said(sub="build-42\0"), "payload_invalid"),
    Attack("RFC 8725 §3.10", "lone-surrogate-in-sub", lambda: said(sub="build-42\ud800"), "payload_invalid"),
    Attack("RFC 8725 §3.10", "turned-sub", lambda: said(sub="\u202e24-dliub"), "payload_invalid"),
    Attack("RFC 8725 §3.10", "blank-behind-sub", lambda: said(sub="build-42 "), "payload_invalid"),
    Attack("RFC 7523 §3", "no-sub", lambda: said(sub=...), "payload_invalid"),
    Attack("RFC 7523 §3", "empty-sub", lambda: said(sub=""), "payload_invalid"),
    Attack("RFC 7523 §3", "sub-is-a-number", lambda: said(sub=42), "payload_invalid"),
    Attack("RFC 7523 §3", "sub-of-256", lambda: said(sub="s" * 256), "payload_invalid"),
)
def test_refuses_an_ambiguous_subject(attack: Attack) -> None:
    assert_refused(attack)


@pytest.mark.regression("RFC 8725 §3.10")
def test_a_subject_of_similar_characters_is_another_user() -> None:
    twin = "build-42".replace("i", "\N{CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I}")
    assert UnverifiedAssertion.parse(said(sub=twin)).verify(policy(), key_set(), now=NOW).subject == twin != "build-42"
