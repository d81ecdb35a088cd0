"""The environment of the snippet templates: each value must pass a filter that quotes it for its language.

Audiences and issuers come from forms, files, and APIs, and the snippets run where deployments have their secrets. An
expression that passed no filter raises an error instead of being printed (`_require_quoted`).

Templates have `[[ … ]]` and `[% … %]` in place of Jinja's own delimiters, which GitHub Actions and Ansible use too.
"""

import json
import re
import shlex
from collections.abc import Callable

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

PLAIN = re.compile(r"[\w ./@:=-]+", re.ASCII)
# Characters with which expressions begin that a provider replaces in its files: $VAR, $(…), ${{ … }}, << … >>.
_OPENING = re.compile(r"([$<])")
_BARE_YAML = re.compile(r"[A-Za-z][\w./:-]*[\w/]", re.ASCII)
# Windows PowerShell takes each of these for a quotation mark.
_POWERSHELL_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")


class NotQuotedError(TypeError):
    """A template prints a value that no filter has quoted."""


def quote_plain(text: str) -> Markup:
    """Return text that needs no quotes in any language; raises `ValueError` for other text."""
    if not PLAIN.fullmatch(text):
        raise ValueError(f"{text!r} needs quotes")
    return _quoted(text)


def quote_shell(text: str) -> Markup:
    """Return a word for a POSIX shell, in which nothing remains for the provider whose file contains it to replace."""
    # shlex puts these characters between single quotes, which are closed and opened again after each.
    return _quoted(_OPENING.sub(r"\1''", shlex.quote(text)))


def quote_yaml(text: str) -> Markup:
    """Return a YAML scalar: a JSON string is one, too."""
    is_bare = _BARE_YAML.fullmatch(text) and yaml.safe_load(text) == text
    return _quoted(text if is_bare else json.dumps(text, ensure_ascii=False))


def quote_gitlab(text: str) -> Markup:
    """Return a YAML scalar in which GitLab replaces no variables."""
    return quote_yaml(text.replace("$", "$$"))


def quote_powershell(text: str) -> Markup:
    """Return a literal string of PowerShell."""
    return _quoted("'" + _POWERSHELL_QUOTES.sub(r"\1\1", text) + "'")


def quote_python(text: str) -> Markup:
    """Return a literal of Python: a JSON string is one, too."""
    return _quoted(json.dumps(text, ensure_ascii=False))


def double_backslashes(script: str) -> Markup:
    """Return a script for a ''' string of Groovy; `quote_shell` never puts three single quotes in a row."""
    return _quoted(str(script).replace("\\", "\\\\"))


def double_dollars(script: str) -> Markup:
    """Return a script for a file in which Buildkite replaces variables."""
    return _quoted(str(script).replace("$", "$$"))


def _quoted(text: str) -> Markup:
    # To Jinja, this is a text that needs no escaping.
    return Markup(text)  # noqa: S704


def _require_quoted(value: object) -> Markup:
    if not isinstance(value, Markup):
        raise NotQuotedError(f"No filter has quoted {value!r}.")
    return value


FILTERS: dict[str, Callable[[str], Markup]] = {
    "plain": quote_plain,
    "shell": quote_shell,
    "yaml": quote_yaml,
    "gitlab": quote_gitlab,
    "powershell": quote_powershell,
    "python": quote_python,
    "groovy_script": double_backslashes,
    "buildkite_script": double_dollars,
}


def make_environment() -> Environment:
    """Return the environment that reads templates from the package."""
    environment = Environment(
        loader=PackageLoader("changegate.services.integrations", "snippet_templates"),
        undefined=StrictUndefined,
        finalize=_require_quoted,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        comment_start_string="[#",
        comment_end_string="#]",
    )
    environment.filters.update(FILTERS, json=json.dumps)
    return environment
