"""What every test would pay for and none is about: routes that are compiled again, password hashes of full strength."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from werkzeug.routing import Rule
from werkzeug.security import generate_password_hash

from changegate.services import users

CHEAP_HASH = "scrypt:256:8:1"

Builder = Callable[..., tuple[str, str]]


@contextmanager
def remembered_routes() -> Iterator[None]:
    """Let Werkzeug write and compile the functions that build URLs once, not for each application.

    They follow from the text of a rule alone, and to compile them is most of what it takes to make an application.
    """
    compile_builder = Rule._compile_builder
    known: dict[tuple[Any, ...], Builder] = {}

    @functools.wraps(compile_builder)
    def remembered(rule: Rule, append_unknown: bool = True) -> Builder:
        if rule.defaults:  # their values are written into the function
            return compile_builder(rule, append_unknown)
        key = (rule.rule, tuple(rule._trace), append_unknown)
        if key not in known:
            known[key] = compile_builder(rule, append_unknown)
        return known[key]

    with mock.patch.object(Rule, "_compile_builder", remembered):
        yield


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Hash passwords in this process with scrypt at a cost of next to nothing; servers in others hash as ever."""
    cheap = functools.partial(generate_password_hash, method=CHEAP_HASH)
    with mock.patch.multiple(users, generate_password_hash=cheap, _NOBODYS_HASH=cheap("nobody's")):
        yield
