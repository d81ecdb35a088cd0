"""Speedups of the suite: cached routes, cheap password hashes, no coverage of started processes."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

from werkzeug.routing import Rule
from werkzeug.security import generate_password_hash

from changegate.services.users import accounts

CHEAP_HASH = "scrypt:256:8:1"
# By this variable coverage.py tells processes that are started to note which of their lines are run.
NOTES_LINES = "COVERAGE_PROCESS_CONFIG"


@contextmanager
def remembered_routes() -> Iterator[None]:
    """Let Werkzeug parse each rule and write its functions that build URLs once, not for each application.

    All of it follows from the text of the rule, and is most of what it takes to make an application.
    """
    compile_rule = Rule.compile
    known: dict[tuple[Any, ...], Rule] = {}

    @functools.wraps(compile_rule)
    def remembered(rule: Rule) -> None:
        key = (rule.rule, rule.merge_slashes, rule.subdomain, rule.host, rule.map.host_matching, repr(rule.defaults))
        if key not in known:
            compile_rule(rule)
            known[key] = rule
            return
        same = known[key]
        rule.arguments = set(same.arguments)
        rule._parts, rule._trace, rule._converters = same._parts, same._trace, same._converters
        rule._build = same._build.__func__.__get__(rule)  # type: ignore[attr-defined]
        rule._build_unknown = same._build_unknown.__func__.__get__(rule)  # type: ignore[attr-defined]

    with mock.patch.object(Rule, "compile", remembered):
        yield


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Hash passwords in this process with scrypt at a cost of next to nothing; servers in others hash as ever."""
    cheap = functools.partial(generate_password_hash, method=CHEAP_HASH)
    with mock.patch.multiple(accounts, generate_password_hash=cheap, _NOBODYS_HASH=cheap("nobody's")):
        yield


@contextmanager
def unnoted_processes() -> Iterator[str | None]:
    """Let processes that are started not note which lines they run; give what would tell them to, if anything does.

    To note it takes as long again as to start, and the tests that run in this process show nearly all lines.
    """
    with mock.patch.dict(os.environ):
        yield os.environ.pop(NOTES_LINES, None)


@contextmanager
def noted_processes(told: str | None) -> Iterator[None]:
    """Let processes that are started note their lines after all, if `told` holds the settings of coverage.py."""
    with mock.patch.dict(os.environ, {NOTES_LINES: told}) if told else nullcontext():
        yield
