"""The subset of YAML for files that commands apply, with the place of each value for error messages.

PyYAML reads and writes it. Only values that are the same in YAML 1.1, 1.2, and JSON are typed: true, false, null, and
decimal numbers. Others, such as `no` or `12:30`, are strings. Aliases, tags, and repeated keys are refused: they could
expand a small file to a huge one, or hide a value.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from changegate.errors import ChangegateError
from changegate.printable import printable

MAX_YAML_CHARACTERS = 1024 * 1024
MAX_YAML_DEPTH = 20
Place = tuple[int, int]  # Line and column, counted from 1.
_TAG = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?\Z")


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

    def explain(self, file: str, problems: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Yield a line for each field with problems: the place of its key in a file, and the sentences about it."""
        for field, sentences in problems.items():
            place = render_place(self.keys.get(field, self.place))
            yield f"{file}, {place}: {printable(field, 100)}: {' '.join(sentences)}"


# YAML allows these characters as escapes, such as "\ud800"; no database stores them.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class _Loader(yaml.SafeLoader):
    """Composes the nodes of the subset only, each with its place."""

    # Replaces the types of YAML 1.1. The first match counts; the key is the first character of the value.
    yaml_implicit_resolvers: dict[Any, Any] = {}
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        place = _place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable(place, "Aliases are not supported; repeat the value.")
        if event.tag is not None:
            raise Unreadable(place, "Tags are not supported; write the plain value.")
        if self._depth > MAX_YAML_DEPTH:
            raise Unreadable(place, "The value is nested too deeply.")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.MappingNode):
            _require_keys(node)
        elif isinstance(node, yaml.ScalarNode) and _UNSTORABLE.search(node.value):
            raise Unreadable(place, "The text contains a null character or half of a surrogate pair.")
        return node


_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"(?:true|false)\Z"), ["t", "f"])
_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"(?:~|null|)\Z"), ["~", "n", ""])
_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(r"-?(?:0|[1-9][0-9]{0,99})\Z"), list("-0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _NUMBER, list("-0123456789"))


def parse_yaml(text: str) -> yaml.Node | None:
    """Return the root node of the only document, None for an empty text; raises `Unreadable`."""
    if len(text) > MAX_YAML_CHARACTERS:
        raise Unreadable((1, 1), f"The file is longer than {MAX_YAML_CHARACTERS} characters.")
    try:
        return _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as problem:
        raise Unreadable(_place(problem.problem_mark), f"Invalid YAML: {_one_line(problem)}.") from None
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise Unreadable((line, 1), "The line contains a character that YAML does not allow.") from None


def mapping_items(node: yaml.Node) -> list[tuple[str, Place, yaml.Node]]:
    """Return key, place, and value of each item of a mapping; raises `Unreadable` for another node."""
    if not isinstance(node, yaml.MappingNode):
        raise Unreadable(place_of(node), "A mapping of keys to values is expected here.")
    return [(key.value, place_of(key), value) for key, value in node.value]


def list_items(node: yaml.Node) -> list[yaml.Node]:
    """Return the items of a list; raises `Unreadable` for another node."""
    if not isinstance(node, yaml.SequenceNode):
        raise Unreadable(place_of(node), "A list is expected here.")
    return list(node.value)


def read_mapping(node: yaml.Node) -> Placed:
    """Return a mapping as plain values; raises `Unreadable` for another node."""
    keys = {key: place for key, place, _ in mapping_items(node)}
    constructor: Any = yaml.constructor.SafeConstructor()
    return Placed(constructor.construct_document(node), place_of(node), keys)


def render_yaml(value: Any) -> str:
    """Return plain values as YAML; parsing it returns the same values."""
    rendered: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return rendered


def render_item(fields: Mapping[str, Any], comment: str | None = None) -> str:
    """Return a mapping as an item of a list, with a comment in front of it."""
    lines = render_yaml(fields).splitlines()
    above = [] if comment is None else [f"  # {comment}"]
    return "\n".join([*above, f"  - {lines[0]}", *(f"    {line}" if line else "" for line in lines[1:])]) + "\n"


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
    return dumper.represent_scalar(f"{_TAG}str", text, style=_style(text))


# Quotes the strings that `_Loader` would type; the library only knows those that YAML 1.1 types.
_Dumper.add_implicit_resolver(f"{_TAG}float", _NUMBER, list("-0123456789"))
_Dumper.add_representer(str, _render_text)


def _style(text: str) -> str | None:
    """Return the style in which a string is read back unchanged; None if the library may choose."""
    if re.search(r"[\r\x85\u2028\u2029\ufeff]", text):
        return '"'  # unless escaped, these characters end lines, or are dropped at the beginning of a file
    return "|" if "\n" in text and not re.search(r"[ \t]\n|\t|\A\s", text) else None


def _require_keys(mapping: yaml.MappingNode) -> None:
    """Refuse keys that are not strings, which could be unhashable, and repeated keys, of which one would be ignored."""
    seen: set[str] = set()
    for key, _ in mapping.value:
        if key.tag != f"{_TAG}str":
            raise Unreadable(place_of(key), "A key must be a string.")
        if key.value in seen:
            raise Unreadable(place_of(key), f"The key {printable(key.value, 200)} occurs twice.")
        seen.add(key.value)


def _place(mark: Any) -> Place:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _one_line(problem: yaml.MarkedYAMLError) -> str:
    return printable(problem.problem or problem.context or "it cannot be read", 200)
