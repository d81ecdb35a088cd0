"""Limits of failed attempts by address and name, so that guessing is slow and callers cannot lock each other out.

Decision 0004 explains the two limits on guesses. Counters are in memory, or in a Valkey or Redis shared by several
nodes; while that store is unavailable, each process counts in its own memory.
"""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network
from time import monotonic
from typing import cast

from flask import Flask
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.errors import ConfigurationError, StorageError
from limits.storage import MovingWindowSupport, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from changegate.config import SettingInvalid, Settings
from changegate.errors import RateLimited
from changegate.recent_failures import RecentFailures
from changegate.unproxied import current_application

log = logging.getLogger(__name__)
FAILURES_PER_MINUTE = RateLimitItemPerMinute(20)
# Wrong passwords and secrets from one address for all names together: inventing names must not allow more guesses.
GUESSES_PER_MINUTE = RateLimitItemPerMinute(100)
# Each time a limit on guesses is reached within two hours, the wait doubles: 1, 2, 4, 8, then 16 minutes without any
# guess. At most 12 such waits begin in two hours.
TIMES_REACHED = RateLimitItemPerHour(12, 2)
WAITS = tuple(RateLimitItemPerMinute(1, 2**earlier) for earlier in range(5))
# The longest name of a user or client. Longer names are cut off and can share a counter.
LONGEST_NAME = 100
# One IPv6 customer has at least such a network (RFC 6177). Counted by address, each of its addresses would start at 0.
IPV6_PREFIX = 64
# How long a shared store that failed is not asked again.
AWAY_SECONDS = 10.0
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guess:
    """The permission to compare one password or secret with the stored one.

    Every comparison requires one, and only `FailureLimit.require_room_to_guess` creates them. A wrong guess is passed
    to `FailureLimit.count_guess`.
    """

    address: str
    name: str


class FailureLimit:
    """Counts failed attempts by address and name; an IPv6 address is counted as its /64 network."""

    def init_app(self, app: Flask, found: Settings) -> None:
        """Create the counters of an application."""
        url = found.ratelimit_storage_url
        own: Storage = RecentFailures()
        try:
            shared = own if url.startswith("memory:") else _open_store(url)
        except ConfigurationError:
            raise SettingInvalid(
                "The store of CHANGEGATE_RATELIMIT_STORAGE_URL needs a package; see limits' documentation."
            ) from None
        app.extensions["failure_limit"] = Counters(shared, own) if found.ratelimit_enabled else None

    def require_room_to_fail(self, address: str, client: str) -> None:
        """Raise `RateLimited` if a caller has failed too often within a minute."""
        key = (network_of(address), client[:LONGEST_NAME])
        _refuse_for(self._ask(_seconds_left, FAILURES_PER_MINUTE, key))

    def count(self, address: str, client: str) -> None:
        """Count one failure other than a wrong password or secret."""
        key = (network_of(address), client[:LONGEST_NAME])
        self._ask(MovingWindowRateLimiter.hit, FAILURES_PER_MINUTE, *key)

    def require_room_to_guess(self, address: str, name: str) -> Guess:
        """Return the permission to compare a password or secret of a name; raises `RateLimited`.

        It is refused for all names after too many wrong guesses from the address, and for one name after too many wrong
        guesses at that name.
        """
        guess = Guess(address, name)
        _refuse_for(self._ask(_seconds_to_wait, guess))
        return guess

    def count_guess(self, guess: Guess) -> None:
        """Count a wrong password or secret."""
        self._ask(_count_guess, guess)

    def _ask(self, question: Callable[..., int], *given: object) -> int:
        counters: Counters | None = current_application().extensions["failure_limit"]
        return 0 if counters is None else counters.ask(question, *given)


class Counters:
    """The shared counters, and those of this process, which are used while the shared store is unavailable."""

    def __init__(self, shared: Storage, own: Storage) -> None:
        self._shared, self._own = MovingWindowRateLimiter(shared), MovingWindowRateLimiter(own)
        # Until when the shared store is not asked, by the monotonic clock; 0 while it answers. Threads may overwrite
        # each other's value.
        self._away_until = 0.0

    def ask(self, question: Callable[..., int], *given: object) -> int:
        """Return the answer of the counters to a question."""
        if not self._away_until or monotonic() >= self._away_until:
            # Each question to a frozen store takes a second, and a request asks up to three. So one request asks
            # whether it is back, and the others do not wait for the answer.
            if self._away_until:
                self._away_until = monotonic() + AWAY_SECONDS
            try:
                answer = question(self._shared, *given)
            except StorageError as problem:
                self._away_until = monotonic() + AWAY_SECONDS
                log.warning("the store of failures is away, this process counts for itself: %s", problem)
            else:
                self._away_until = 0.0
                return answer
        # Without counting, guesses would be unlimited during an outage of the store. If every attempt were refused
        # instead, no user could sign in.
        return question(self._own, *given)


def _limits_of(guess: Guess) -> tuple[tuple[RateLimitItem, Key], tuple[RateLimitItem, Key]]:
    """Return the two limits on guesses, each with its key."""
    # In lower case, because user names are compared without case: each spelling would otherwise allow more guesses.
    whence, name = network_of(guess.address), guess.name[:LONGEST_NAME].lower()
    return (FAILURES_PER_MINUTE, (whence, "guess", name)), (GUESSES_PER_MINUTE, (whence, "guesses"))


def _count_guess(counters: MovingWindowRateLimiter, guess: Guess) -> int:
    """Count a wrong guess; for each limit that it reaches, begin a wait twice as long as the previous one."""
    for limit, key in _limits_of(guess):
        counters.hit(limit, *key)
        # If several guesses reach the limit at once, only the first to count the shortest wait begins the next one.
        if counters.test(limit, *key) or not counters.hit(WAITS[0], *key):
            continue
        counters.hit(TIMES_REACHED, *key)
        _, times = _window(counters, TIMES_REACHED, key)
        for wait in WAITS[1:times]:
            counters.hit(wait, *key)
    return 0


def _seconds_to_wait(counters: MovingWindowRateLimiter, guess: Guess) -> int:
    """Return the seconds until both limits on guesses allow another one; 0 if they do now."""
    seconds = 0
    for _, key in _limits_of(guess):
        _, times = _window(counters, TIMES_REACHED, key)
        if times:
            seconds = max(seconds, _seconds_left(counters, WAITS[min(times, len(WAITS)) - 1], key))
    return seconds


def _seconds_left(counters: MovingWindowRateLimiter, limit: RateLimitItem, key: Key) -> int:
    """Return the seconds until a limit allows another attempt; 0 if it does now."""
    began_at, attempts = _window(counters, limit, key)
    if attempts < limit.amount:
        return 0
    return max(1, math.ceil(began_at + limit.get_expiry() - time.time()))


def _window(counters: MovingWindowRateLimiter, limit: RateLimitItem, key: Key) -> tuple[float, int]:
    """Return the time of the first attempt in the window of a limit, and the number of attempts since."""
    store = cast("MovingWindowSupport", counters.storage)
    return store.get_moving_window(limit.key_for(*key), limit.amount, limit.get_expiry())


def _refuse_for(seconds: int) -> None:
    if seconds:
        raise RateLimited(retry_after=seconds)


def _open_store(url: str) -> Storage:
    return cast("Storage", storage_from_string(url, wrap_exceptions=True, socket_timeout=1, socket_connect_timeout=1))


def network_of(address: str) -> str:
    """Return the key that an address is counted by: the address, or the network of an IPv6 address."""
    if ":" not in address:
        return address
    try:
        ipv6 = IPv6Address(address)
    except ValueError:
        return address
    return str(ipv6.ipv4_mapped or IPv6Network((int(ipv6), IPV6_PREFIX), strict=False))
