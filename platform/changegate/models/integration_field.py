"""A field of an integration as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

from changegate.models.integration_choices import CONNECTION_TYPES, ID_TOKEN


class Kind(StrEnum):
    """What the values of a field are."""

    LINE = "line"
    TEXT = "text"
    # A text that is shown as a digest.
    KEY_SET = "key_set"
    SWITCH = "switch"
    # A number without a default is a limit; an empty field sets no limit.
    NUMBER = "number"
    CHOICE = "choice"
    # A user name, stored as the sys_id of the user.
    USER = "user"
    # The name of a group, stored as the sys_id of the group.
    GROUP = "group"
    DATE = "date"
    # A list of texts, entered one per line.
    LINES = "lines"
    # A list of texts whose order means nothing, each a checkbox.
    NAMES = "names"
    CONDITIONS = "conditions"
    # Keys; shared keys among them are secret, and never shown.
    VERIFIER_MAPS = "verifier_maps"


LIST_KINDS = frozenset({Kind.LINES, Kind.NAMES, Kind.CONDITIONS, Kind.VERIFIER_MAPS})


# The parts of the form; within a part, fields have the order of the list. Fields of "page" are shown by the page itself
# or by the template of another field.
Part = Literal["provider", "details", "client", "trust", "keys", "conditions", "care", "scope", "advanced", "page"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an integration, with `label` and `help` as the form shows them.

    `{token}` in them stands for the assertion or the ID token. `least` and `most` bound a number, `most` the length of
    a list, and `length` each text. `example` is shown in an empty input. `option` is the name of the command-line
    option if it does not follow from the name of the field. `lacks` is the predicate of the refusal by a connection
    type without the field, if a better one is known than `lack`. `differs` has the attributes that a connection type
    replaces.
    """

    name: str
    kind: Kind
    label: str
    help: str = ""
    types: tuple[str, ...] = tuple(CONNECTION_TYPES)
    part: Part = "advanced"
    default: Any = None
    is_required: bool = False
    length: int = 100
    least: int = 0
    most: int = 0
    choices: Mapping[str, str] = field(default_factory=dict)
    example: str = ""
    option: str = ""
    lacks: str = ""
    differs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of(self, connection_type: str) -> "Field":
        """Return the field as a connection type has it."""
        own = replace(self, **self.differs.get(connection_type, {}))
        token = "token" if connection_type == ID_TOKEN else "assertion"
        return replace(own, label=own.label.format(token=token), help=own.help.format(token=token))

    @property
    def hint(self) -> str:
        """Return the help, or the limits of a number without help."""
        return self.help or (f"{self.least} to {self.most}" if self.kind == Kind.NUMBER else "")

    @property
    def lack(self) -> str:
        """Return the predicate of a sentence about a connection type that does not have the field."""
        if self.lacks or self.kind == Kind.SWITCH:
            return self.lacks or f"has no field {self.label}"
        noun = self.label.partition(" (")[0]
        is_abbreviation = noun[:2].isupper()
        return f"has no {noun if is_abbreviation else noun[:1].lower() + noun[1:]}"

    @property
    def blank(self) -> Any:
        """Return a new copy of the default."""
        return list(self.default or ()) if self.kind in LIST_KINDS else self.default
