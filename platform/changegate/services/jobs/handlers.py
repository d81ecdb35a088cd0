"""The kinds of jobs, and the functions that run them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

Handler = Callable[[Mapping[str, Any]], None]


class JobFailed(Exception):
    """A handler cannot finish its job now. The message is logged and stored, so it must not contain a secret."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job: its handler, and for a repeating job the time from the end of a run to the next one."""

    handler: Handler
    every: timedelta | None = None


KINDS: dict[str, JobKind] = {}


def handles(kind: str) -> Callable[[Handler], Handler]:
    """Register the decorated function as the handler of a kind.

    The handler gets the payload and runs in a unit of work of its own, which the worker commits together with the
    end of the job; handlers never commit, except those in docs/jobs.md. It may run again after a crash or a
    failure, so effects outside of the database must be safe to repeat. It calls other servers before its first
    write: a write holds SQLite's write lock until the commit. It should end within `leases.JOB_LEASE`, after which
    another worker may run the job again.
    """

    def register(handler: Handler) -> Handler:
        add_kind(kind, JobKind(handler))
        return handler

    return register


def add_kind(name: str, kind: JobKind) -> None:
    """Register a kind. Raises `ValueError` if the name is taken."""
    if KINDS.setdefault(name, kind) is not kind:
        raise ValueError(f"the kind of job {name} has a handler already")
