"""Speedups of the suite: caches that outlive an application, cheap password hashes, no coverage of processes."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy.engine import Engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule
from werkzeug.security import generate_password_hash

from changegate.seed import first_start
from changegate.services.users import accounts

MOST_STATEMENTS = 2_000
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


class _Templates(BytecodeCache):
    """Compiled templates, by their name and text."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


@contextmanager
def remembered_templates() -> Iterator[None]:
    """Let Jinja compile each template once, not for each application."""
    with mock.patch.dict(Flask.jinja_options, bytecode_cache=_Templates()):
        yield


@contextmanager
def remembered_statements() -> Iterator[None]:
    """Let SQLAlchemy compile each statement once, not for each application, whose engine has a dialect of its own."""

    def is_alike(dialect: DefaultDialect, other: object) -> bool:
        return type(dialect) is type(other) and dialect.paramstyle == other.paramstyle  # type: ignore[attr-defined]

    def hash_alike(dialect: DefaultDialect) -> int:
        return hash((type(dialect), dialect.paramstyle))

    known: Any = LRUCache(MOST_STATEMENTS)
    shared = property(lambda _engine: known, lambda _engine, _cache: None)
    with (
        mock.patch.multiple(DefaultDialect, __eq__=is_alike, __hash__=hash_alike),
        mock.patch.object(Engine, "_compiled_cache", shared, create=True),
    ):
        yield


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Hash passwords in this process with scrypt at a cost of next to nothing; servers in others hash as ever."""
    cheap = functools.partial(generate_password_hash, method=CHEAP_HASH)
    with (
        mock.patch.multiple(accounts, generate_password_hash=cheap, _NOBODYS_HASH=cheap("unused")),
        mock.patch.object(first_start, "generate_password_hash", cheap),
    ):
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
