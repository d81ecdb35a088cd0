"""Cleaning up in one request of many: no job to run, and no request that pays for all."""

import secrets

ONE_IN = 500


def is_time_to_clean_up() -> bool:
    """Tell whether this request is the one that cleans up."""
    return secrets.randbelow(ONE_IN) == 0
