"""Amortized cleanup: about one request in 500 deletes expired rows."""

import secrets

ONE_IN = 500
PURGED_AT_ONCE = 1000


def is_time_to_clean_up() -> bool:
    """Return whether this request should delete expired rows; true for one in `ONE_IN` at random."""
    return secrets.randbelow(ONE_IN) == 0
