"""What is in a snippet: its structure if it is YAML, and its shell script, as those get them who run it."""

from typing import Any

import yaml

from changegate.services.integrations.snippet_layouts import SNIPPET_LAYOUTS
from changegate.services.integrations.snippets import Snippet

GROOVY_STRING = "'''"


class Reader(yaml.SafeLoader):
    """Reads YAML 1.2's booleans only, so that `on` is a key, and Ansible's `!unsafe` as text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


Reader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def structure_of(text: str) -> Any:
    """Return what a snippet in YAML contains."""
    return yaml.load(text, Reader)


def script_of(snippet: Snippet) -> str | None:
    """Return the shell script of a snippet, or None for one of another language."""
    template = SNIPPET_LAYOUTS[snippet.name].template
    if template == "shell.sh.j2":
        return snippet.text
    if template == "jenkins.groovy.j2":
        return groovy_strings_of(snippet.text)[-1]
    if snippet.name == "ansible" or not template.endswith(".yml.j2"):
        return None
    [script] = _scripts_in(structure_of(snippet.text))
    return script.replace("$$", "$") if snippet.name == "buildkite" else script


def groovy_strings_of(text: str) -> list[str]:
    """Return the values of the string literals of a pipeline for Jenkins."""
    values, at = [], 0
    while (at := text.find("'", at)) >= 0:
        quotes = GROOVY_STRING if text.startswith(GROOVY_STRING, at) else "'"
        at += len(quotes)
        value = ""
        while not text.startswith(quotes, at):
            if text[at] == "\\":
                at += 1
                assert text[at] in "\\'", f"unexpected escape \\{text[at]}"
            value += text[at]
            at += 1
        at += len(quotes)
        values.append(value)
    return values


def _scripts_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if "\n" in value and "curl" in value else []
    members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [script for member in members for script in _scripts_in(member)]
