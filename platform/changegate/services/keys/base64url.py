"""Base64url without padding (RFC 7515 §2), in its one canonical spelling."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error


def decode_base64url(text: str) -> bytes | None:
    """Decode a text; return None unless encoding the bytes again gives exactly the same text.

    Python's decoder skips foreign characters, accepts padding, and ignores trailing bits. With it, one assertion would
    have several spellings, and equal keys would have several thumbprints.
    """
    try:
        encoded = text.encode("ascii")
        decoded = urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
    except (UnicodeEncodeError, Error):
        return None
    return decoded if urlsafe_b64encode(decoded).rstrip(b"=") == encoded else None
