"""Which keys of an integration's key set may have signed an assertion."""

from functools import partial

from changegate.services.oauth.header_policy import Header
from changegate.services.oauth.key_set import KeySet, SigningKey
from changegate.services.oauth.report import Judgement, Report


def choose_keys(key_set: KeySet, header: Header, report: Report) -> tuple[SigningKey, ...]:
    """Return the keys to try, never none; raises `AssertionRefused` when none fits or too many do."""
    keys = key_set.candidates(header.kid, header.algorithm)
    report.add(_judge_choice(key_set, header, keys))
    report.require_passed()
    return keys


def _judge_choice(key_set: KeySet, header: Header, keys: tuple[SigningKey, ...]) -> Judgement:
    reason = None if keys else _why_none(key_set, header)
    return "key", reason, partial(_describe_keys, key_set), header.kid or "no kid"


def _why_none(key_set: KeySet, header: Header) -> str:
    if header.kid is None:
        is_fitting = any(header.algorithm in key.algorithms for key in key_set.keys)
        return "kid_ambiguous" if is_fitting else "key_unusable"
    return "key_unusable" if key_set.has_kid(header.kid) else "kid_unknown"


def _describe_keys(key_set: KeySet) -> str:
    return ", ".join(f"{key.kid or 'no kid'} ({'/'.join(sorted(key.algorithms))})" for key in key_set.keys)
