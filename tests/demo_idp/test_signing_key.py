"""Keys: what they publish, how they are named."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1

from demo_idp.signing_key import ALGORITHMS, SigningKey, thumbprint


def test_names_a_key_as_rfc_7638_does_in_its_own_example() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCi"
        "FV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb"
        "9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls"
        "1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_publishes_the_public_half_and_nothing_else(algorithm: str) -> None:
    jwk = SigningKey.generate(algorithm).public_jwk
    parameters = {"RS256": {"n", "e"}, "ES256": {"crv", "x", "y"}}[algorithm]
    assert set(jwk) == parameters | {"kty", "kid", "alg", "use"}
    assert (jwk["alg"], jwk["use"], jwk["kid"]) == (algorithm, "sig", thumbprint(jwk))


def test_makes_rsa_keys_of_2048_bits_and_elliptic_ones_on_p_256() -> None:
    assert SigningKey.generate("RS256").private_key.key_size == 2048
    elliptic = SigningKey.generate("ES256").private_key
    assert isinstance(getattr(elliptic, "curve", None), SECP256R1)
