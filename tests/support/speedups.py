"""Speedups of the suite: caches that outlive an application, cheap password hashes, no coverage of processes."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, cast
from unittest import mock

from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy.engine.default import DefaultDialect
from werkzeug.routing import Map, Rule, RuleFactory
from werkzeug.security import generate_password_hash

from changegate import factory
from changegate.config import Settings
from changegate.database.engine import engine_options
from changegate.seed import first_start
from changegate.services.users import accounts

MOST_STATEMENTS = 4_000
CHEAP_HASH = "scrypt:256:8:1"
# By this variable coverage.py tells processes that are started to note which of their lines are run.
NOTES_LINES = "COVERAGE_PROCESS_CONFIG"


class _Routes(Map):
    """The routes of an application; those of applications with the same rules are parsed and arranged once.

    To parse and arrange them is most of what it takes to make an application.
    """

    known: ClassVar[dict[tuple[Any, ...], Map]] = {}
    # By the identity of their rules, which applications share: to compute them again takes a tenth of an application.
    keys: ClassVar[dict[int, tuple[Rule, tuple[Any, ...]]]] = {}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rules: list[Rule] = []
        self.is_outdated = False

    def add(self, rulefactory: RuleFactory) -> None:
        self.rules += rulefactory.get_rules(self)
        self.is_outdated = True

    def update(self) -> None:
        if self.is_outdated:
            key = (self.strict_slashes, self.merge_slashes, *map(self._key_of, self.rules))
            if key not in self.known:
                self.known[key] = self._arranged()
            vars(self).update(vars(self.known[key]))
            self.is_outdated = False
        super().update()

    def _key_of(self, rule: Rule) -> tuple[Any, ...]:
        known, key = self.keys.get(id(rule), (None, ()))
        return key if known is rule else _key_of(rule)

    def _arranged(self) -> Map:
        options = {name: getattr(self, name) for name in ("strict_slashes", "merge_slashes", "converters")}
        arranged = Map(map(_unbound, self.rules), **options)
        arranged.update()
        return arranged


def _key_of(rule: Rule) -> tuple[Any, ...]:
    methods = frozenset(rule.methods or ())
    return rule.rule, rule.endpoint, methods, repr(rule.defaults), rule.provide_automatic_options  # type: ignore[attr-defined]


def _unbound(rule: Rule) -> Rule:
    copied = rule.empty()
    copied.provide_automatic_options = rule.provide_automatic_options  # type: ignore[attr-defined]
    return copied


class _Blueprints:
    """The rules and views of blueprints, by their options."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[list[Rule], dict[str, Any]]] = {}
        self._skips_rules = False

    def register(self, blueprint: Blueprint, app: Flask, options: dict[str, Any]) -> None:
        key, routes = (blueprint, *sorted(options.items())), cast(_Routes, app.url_map)
        start, skipped = len(routes.rules), self._skips_rules
        self._skips_rules = key in self._known
        try:
            _register(blueprint, app, options)
        finally:
            self._skips_rules = skipped
        if key not in self._known:
            rules = routes.rules[start:]
            routes.keys.update((id(rule), (rule, _key_of(rule))) for rule in rules)
            self._known[key] = rules, {rule.endpoint: app.view_functions[rule.endpoint] for rule in rules}
        rules, views = self._known[key]
        routes.rules[start:] = rules
        routes.is_outdated = True
        app.view_functions |= views

    def add_url_rule(self, state: BlueprintSetupState, *arguments: Any, **options: Any) -> None:
        if not self._skips_rules:
            _add_url_rule(state, *arguments, **options)


_add_url_rule = BlueprintSetupState.add_url_rule
_register = Blueprint.register


@contextmanager
def remembered_routes() -> Iterator[None]:
    """Let Flask build the routes of each blueprint once, and Werkzeug parse and arrange the same routes once.

    Otherwise, they would do so for each application.
    """
    blueprints = _Blueprints()
    with (
        mock.patch.object(Flask, "url_map_class", _Routes),
        mock.patch.object(Blueprint, "register", lambda *registered: blueprints.register(*registered)),
        mock.patch.object(
            BlueprintSetupState, "add_url_rule", lambda *rule, **named: blueprints.add_url_rule(*rule, **named)
        ),
    ):
        yield


def remember_routes() -> None:
    """Parse and arrange the routes of the product for all applications that follow."""
    with TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/unused.db", secret_key="unused" * 8)
        factory.create_app(instance_path=folder, settings=settings).url_map.update()


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


class _Statements(dict[Any, Any]):
    """Compiled statements of all applications.

    SQLAlchemy keeps those of its mappers elsewhere, by dialects: hence `is_alike`.
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        if len(self) >= MOST_STATEMENTS:
            self.clear()
        super().__setitem__(key, value)


@contextmanager
def remembered_statements() -> Iterator[None]:
    """Let SQLAlchemy compile each statement once, not for each application, whose engine has a dialect of its own."""

    def is_alike(dialect: DefaultDialect, other: object) -> bool:
        return type(dialect) is type(other) and dialect.paramstyle == other.paramstyle  # type: ignore[attr-defined]

    def hash_alike(dialect: DefaultDialect) -> int:
        return hash((type(dialect), dialect.paramstyle))

    kept = {"execution_options": {"compiled_cache": _Statements()}}
    with (
        mock.patch.multiple(DefaultDialect, __eq__=is_alike, __hash__=hash_alike),
        mock.patch.object(factory, "engine_options", lambda url: engine_options(url) | kept),
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
