"""Roles that a machine account should not hold, and the reasons."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from changegate.services.hygiene.finding import HIGH, MEDIUM


@dataclass(frozen=True, slots=True)
class Privilege:
    """The severity of a role on a machine account; `reason` continues a sentence after the user's name and "who"."""

    severity: str
    reason: str


# ServiceNow keeps this list in a table of its own (docs/reference/inbound-integrations.md#console).
HIGH_PRIVILEGES: Mapping[str, Privilege] = MappingProxyType(
    {
        "admin": Privilege(HIGH, "may read and write every table, users and their passwords among them"),
        "security_admin": Privilege(HIGH, "grants elevated security rights"),
        "mi_admin": Privilege(HIGH, "can trust any identity provider, for any user"),
        "oauth_admin": Privilege(HIGH, "can trust any identity provider, for any user"),
        "change_manager": Privilege(MEDIUM, "may change, approve and delete what others have planned"),
    }
)


def privileges_among(roles: Iterable[str]) -> tuple[str, ...]:
    """Return the high privileges among roles, highest first."""
    held = frozenset(roles)
    return tuple(role for role in HIGH_PRIVILEGES if role in held)
