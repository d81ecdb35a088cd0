"""Encrypted secrets in the database."""

import base64

import pytest

from changegate import create_app
from changegate.errors import SealBroken
from changegate.sealed import VERSION, seal, unseal

pytestmark = pytest.mark.usefixtures("app_context")
SECRET = "correct horse battery staple"


@pytest.mark.parametrize("secret", [b"", b"\0\xff", "né", SECRET, b"x" * 10_000])
def test_opens_what_was_sealed(secret: str | bytes) -> None:
    plain = secret.encode() if isinstance(secret, str) else secret

    assert unseal(seal(secret, purpose="keys"), purpose="keys") == plain


def test_a_sealed_secret_discloses_neither_the_secret_nor_that_two_are_equal() -> None:
    one, other = seal(SECRET, purpose="keys"), seal(SECRET, purpose="keys")

    assert one.isascii() and one != other
    assert SECRET.encode() not in base64.urlsafe_b64decode(one.removeprefix(VERSION))


def test_a_sealed_secret_opens_for_its_purpose_only() -> None:
    with pytest.raises(SealBroken):
        unseal(seal(SECRET, purpose="keys"), purpose="other keys")


def test_a_sealed_secret_opens_under_its_own_secret_key_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    sealed = seal(SECRET, purpose="keys")
    other = create_app(instance_path=tmp_path_factory.mktemp("other"))

    with other.app_context(), pytest.raises(SealBroken):
        unseal(sealed, purpose="keys")


def test_every_byte_of_a_sealed_secret_counts() -> None:
    material = bytearray(base64.urlsafe_b64decode(seal("ab", purpose="keys").removeprefix(VERSION)))
    for place in range(len(material)):
        changed = bytearray(material)
        changed[place] ^= 1
        with pytest.raises(SealBroken):
            unseal(VERSION + base64.urlsafe_b64encode(changed).decode(), purpose="keys")


@pytest.mark.parametrize("text", ["", VERSION, "s2.AAAA", f"{VERSION}AAAA", f"{VERSION}é", f"{VERSION}A", SECRET])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(SealBroken) as caught:
        unseal(text, purpose="keys")

    assert "another secret key" in caught.value.message
