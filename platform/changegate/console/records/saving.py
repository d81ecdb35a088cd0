"""Writes of forms: committed, or undone with the refusal as the result, so that the page can show it."""

from collections.abc import Callable
from typing import TypeVar

from changegate.database import commit, rollback
from changegate.errors import AccessRefused, ChangegateError, RecordNotFound

T = TypeVar("T")
# Refusals that have a page of their own instead of a place in the form.
WITH_A_PAGE = (AccessRefused, RecordNotFound)


def attempt(write: Callable[[], T], *, raised: tuple[type[ChangegateError], ...] = WITH_A_PAGE) -> T | ChangegateError:
    """Return what a write returns, committed, or the refusal after a rollback; refusals in `raised` are raised."""
    try:
        result = write()
        commit()
    except raised:
        raise
    except ChangegateError as refusal:
        rollback()
        return refusal
    return result
