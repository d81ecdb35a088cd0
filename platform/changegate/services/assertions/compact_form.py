"""A strict parser of the compact serialization of signed tokens (RFC 7515 §3.1)."""

from dataclasses import dataclass

from changegate.services.assertions.phrases import Phrase
from changegate.services.assertions.report import Report, RuleCheck
from changegate.services.keys.base64url import decode_base64url

MAX_ASSERTION_LENGTH = 16 * 1024
MAX_HEADER_BYTES = 2 * 1024
MAX_PAYLOAD_BYTES = 8 * 1024
MAX_SIGNATURE_BYTES = 1024  # RSA with 8192 bits, the largest key that is accepted

_CAPS = (("header", MAX_HEADER_BYTES), ("payload", MAX_PAYLOAD_BYTES), ("signature", MAX_SIGNATURE_BYTES))
_SIZES = (
    f"at most {MAX_ASSERTION_LENGTH} characters; header {MAX_HEADER_BYTES}, "
    f"payload {MAX_PAYLOAD_BYTES} and signature {MAX_SIGNATURE_BYTES} bytes"
)
_SHAPE = "three segments of canonical base64url, joined by dots"
_IS_COMPACT = RuleCheck("form", None, _SHAPE, "three segments")


@dataclass(frozen=True, slots=True, repr=False)
class CompactForm:
    """The decoded segments, and the bytes that the signature covers."""

    header: bytes
    payload: bytes
    signature: bytes
    signing_input: bytes


def split_compact(text: str, report: Report) -> CompactForm:
    """Return a token's segments; raises `AssertionRefused` unless it is a compact JWS within the size limits."""
    # Before anything else: all that follows takes time in proportion to the length of the text.
    if len(text) > MAX_ASSERTION_LENGTH:
        report.add(RuleCheck("size", "assertion_too_large", _SIZES, f"{len(text)} characters"))
        report.require_passed()
    if text.count(".") != 2:
        report.add(_not_compact(_describe_shape(text)))
        report.require_passed()
    segments = text.split(".")
    report.add(_check_sizes(segments))
    report.require_passed()
    decoded = [decode_base64url(segment) for segment in segments]
    report.add(_check_form(segments, decoded))
    report.require_passed()
    # None and empty segments were refused above; `or` only satisfies the type checker. The signature covers the
    # received text: segments that are encoded again could differ from it.
    header, payload, signature = (segment or b"" for segment in decoded)
    return CompactForm(header, payload, signature, text[: text.rindex(".")].encode("ascii"))


def _check_sizes(segments: list[str]) -> RuleCheck:
    sizes = [len(segment) * 3 // 4 for segment in segments]
    for (name, cap), size in zip(_CAPS, sizes, strict=True):
        if size > cap:
            return RuleCheck("size", "assertion_too_large", _SIZES, f"a {name} of {size} bytes")
    return RuleCheck("size", None, _SIZES, Phrase("bytes", sum(sizes)))


def _check_form(segments: list[str], decoded: list[bytes | None]) -> RuleCheck:
    if all(decoded):
        return _IS_COMPACT
    names = [name for (name, _), data in zip(_CAPS, decoded, strict=True) if not data]
    empty = not all(segments)
    return _not_compact("an empty segment" if empty else f"other characters in: {', '.join(names)}")


def _not_compact(received: str) -> RuleCheck:
    return RuleCheck("form", "assertion_not_compact_jws", _SHAPE, received)


def _describe_shape(text: str) -> str:
    if text[:1] == "{":
        return "a JSON serialisation"
    count = text.count(".") + 1
    return f"{count} segments" + (" (an encrypted token)" if count == 5 else "")
