"""The commands of the product and of `make`, and faults in how documents call them."""

import re
import shlex
from collections.abc import Iterator

import click

from changegate.cli import group
from demo_idp.cli import main as demo_idp
from tests.guards.source_tree import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
MAKE_VARIABLES = set(re.findall(r"\$\((\w+)\)", MAKEFILE))


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Return the commands below a group, by the words that call them."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for part, child in command.commands.items():
        yield from commands(child, f"{name} {part}")


ALL_COMMANDS = dict([*commands(group, "changegate"), *commands(demo_idp, "demo-idp")])


def options_of(command: click.Command) -> set[str]:
    """Return the options of a command, with those that switch something off."""
    options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    return {option for parameter in options for option in (*parameter.opts, *parameter.secondary_opts)}


def is_call(text: str) -> bool:
    """Return whether a text calls `make` or a command of the product, and not only names it."""
    words = _words_of(text)
    return len(words) > 1 and words[0] in {"make", "changegate", "demo-idp"}


def find_fault(text: str) -> str | None:
    """Return what does not exist in a call of `make` or of a command, or None."""
    program, *words = _words_of(text)
    if program == "make":
        targets, variables = ([word for word in words if ("=" in word) is wanted] for wanted in (False, True))
        names = {word.partition("=")[0] for word in variables}
        return ", ".join([*sorted(set(targets) - MAKE_TARGETS), *sorted(names - MAKE_VARIABLES)]) or None
    name = next((name for name in ALL_COMMANDS if [program, *words][: len(name.split())] == name.split()), None)
    if name is None:
        return text
    given = {word.partition("=")[0] for word in words if word.startswith("-") and len(word) > 1}
    return ", ".join(sorted(given - options_of(ALL_COMMANDS[name]))) or None


def _words_of(text: str) -> list[str]:
    words = [word.removeprefix(".venv/bin/") for word in shlex.split(text, comments=True)]
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words
