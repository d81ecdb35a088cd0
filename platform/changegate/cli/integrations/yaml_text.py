"""The subset of YAML for files of integrations, with the place of each value for error messages.

Only values that are the same in YAML 1.1, 1.2, and JSON are typed: true, false, null, and decimal numbers. Others, such
as `no` or `12:30`, are strings. Aliases, tags, and repeated keys are refused: they could expand a small file to a huge
one, or hide a value.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from changegate.errors import ChangegateError
from changegate.printable import printable

MAX_CHARACTERS = 1024 * 1024
MAX_DEPTH = 20
Place = tuple[int, int]  # Line and column, counted from 1.
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,99})\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?\Z")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class Unreadable(ChangegateError):
    """A file is not in the supported subset of YAML; the message contains the place."""

    def __init__(self, place: Place, sentence: str) -> None:
        super().__init__(f"{render_place(place)}: {sentence}")


@dataclass(frozen=True, slots=True)
class Placed:
    """A value with the place where it begins and, for a mapping, the place of each key."""

    value: Any
    place: Place
    keys: Mapping[str, Place]


class _Composer(yaml.SafeLoader):
    """Composes nodes, and never constructs Python objects from tags."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            alias: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
            raise Unreadable(_place(alias.start_mark), "Aliases are not supported; repeat the value.")
        return super().compose_node(parent, index)


def parse_yaml(text: str) -> yaml.Node | None:
    """Return the root node of the only document, None for an empty text; raises `Unreadable`."""
    if len(text) > MAX_CHARACTERS:
        raise Unreadable((1, 1), f"The file is longer than {MAX_CHARACTERS} characters.")
    try:
        loader = _Composer(text)
        return loader.get_single_node()
    except RecursionError:
        raise Unreadable((1, 1), "The file is nested too deeply.") from None
    except yaml.MarkedYAMLError as problem:
        raise Unreadable(_place(problem.problem_mark), f"Invalid YAML: {_one_line(problem)}.") from None
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise Unreadable((line, 1), "The line contains a character that YAML does not allow.") from None


def mapping_items(node: yaml.Node) -> Iterator[tuple[str, Place, yaml.Node]]:
    """Yield key, place, and value of a mapping; raises `Unreadable` for another node or a repeated key."""
    if not isinstance(node, yaml.MappingNode) or not _is_plain(node):
        raise Unreadable(place_of(node), "A mapping of keys to values is expected here.")
    seen: set[str] = set()
    for key_node, value in node.value:
        key, place = _value(key_node, MAX_DEPTH), place_of(key_node)
        if not isinstance(key, str):
            raise Unreadable(place, "A key must be a string.")
        if key in seen:
            raise Unreadable(place, f"The key {printable(key, 200)} occurs twice.")
        seen.add(key)
        yield key, place, value


def list_items(node: yaml.Node) -> list[yaml.Node]:
    """Return the items of a list; raises `Unreadable` for another node."""
    if not isinstance(node, yaml.SequenceNode):
        raise Unreadable(place_of(node), "A list is expected here.")
    return list(node.value)


def read_mapping(node: yaml.Node) -> Placed:
    """Return a mapping as plain values."""
    items = list(mapping_items(node))
    value = {key: _value(inner, 1) for key, _, inner in items}
    return Placed(value, place_of(node), {key: place for key, place, _ in items})


def render_yaml(value: Any) -> str:
    """Return plain values as YAML; parsing it returns the same values."""
    rendered: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return rendered


def place_of(node: yaml.Node) -> Place:
    """Return the place where a node begins."""
    return _place(node.start_mark)


def render_place(place: Place) -> str:
    """Return a place as text."""
    return f"line {place[0]}, column {place[1]}"


class _Dumper(yaml.SafeDumper):
    """Writes multi-line strings as blocks, indents lists, and uses no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


def _render_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


def _style(text: str) -> str | None:
    """Return the style in which a string is read back unchanged; None if the library may choose."""
    if re.search(r"[\r\x85\u2028\u2029\ufeff]", text):
        return '"'  # unless escaped, these characters end lines, or are dropped at the beginning of a file
    if "\n" in text and not re.search(r"[ \t]\n|\t|\A\s", text):
        return "|"
    # The library quotes strings that YAML 1.1 would type; this module types some others, too.
    return "'" if text in _WORDS or _NUMBER.match(text) else None


_Dumper.add_representer(str, _render_text)


def _value(node: yaml.Node, depth: int) -> Any:
    if depth > MAX_DEPTH + 1:
        raise Unreadable(place_of(node), "The value is nested too deeply.")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode) and _is_plain(node):
        return [_value(inner, depth + 1) for inner in node.value]
    return {key: _value(inner, depth + 1) for key, _, inner in mapping_items(node)}


def _scalar(node: yaml.ScalarNode) -> Any:
    if node.style is not None:
        return _require_plain(node, node.value)
    if node.value in _WORDS:
        return _require_plain(node, _WORDS[node.value])
    if _INTEGER.match(node.value):
        return _require_plain(node, int(node.value))
    return _require_plain(node, float(node.value) if _NUMBER.match(node.value) else node.value)


def _require_plain(node: yaml.Node, value: Any) -> Any:
    if not _is_plain(node):
        raise Unreadable(place_of(node), "Tags are not supported; write the plain value.")
    return value


def _is_plain(node: yaml.Node) -> bool:
    """Return whether a node has its default tag; an explicit tag could request any Python object."""
    if isinstance(node, yaml.ScalarNode):
        return node.tag.startswith("tag:yaml.org,2002:") and node.tag.rpartition(":")[2] in _SCALARS
    return node.tag in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


_SCALARS = ("str", "bool", "null", "int", "float", "timestamp", "merge", "value")


def _place(mark: Any) -> Place:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _one_line(problem: yaml.MarkedYAMLError) -> str:
    return printable(problem.problem or problem.context or "it cannot be read", 200)
