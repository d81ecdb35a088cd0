"""Base64url: one spelling for each value, and None for everything else."""

import pytest

from changegate.services.keys.base64url import decode_base64url


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("YQ", b"a"),
        ("YWI", b"ab"),
        ("YWJj", b"abc"),
        ("AAAX", b"\0\0\x17"),
        ("-_-_", b"\xfb\xff\xbf"),
        ("YQ==", None),
        ("YWI=", None),
        ("YR", None),
        ("YWJ", None),
        ("Y", None),
        ("YQ\n", None),
        ("Y Q", None),
        ("+/+/", None),
        ("YQ!", None),
        ("\N{LATIN SMALL LETTER E WITH ACUTE}Q", None),
    ],
)
def test_only_the_canonical_spelling_is_decoded(text: str, data: bytes | None) -> None:
    assert decode_base64url(text) == data
