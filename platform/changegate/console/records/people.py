"""The people and workloads behind a record and its changes, with their names and pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from changegate.console.records.pages import record_url
from changegate.services.access.caller import Caller
from changegate.services.history.actors import SYSTEM
from changegate.services.tables.display.display_names import find_names
from changegate.services.tables.registry import table_of_users
from changegate.services.users.user_names import users_named

# The fields with the user IDs of those who created and last changed a record.
STAMPS = ("sys_created_by", "sys_updated_by")
# A user whose name the reader may not see.
UNKNOWN = "another user"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or a workload: its name, and the address of its page if there is one for the reader."""

    name: str
    url: str | None = None


class People:
    """The users whose user IDs, present or former, and sys_ids occur in a stream, as far as the reader sees them."""

    def __init__(self, caller: Caller, user_names: Iterable[str], sys_ids: Iterable[str] = ()) -> None:
        users, _ = table_of_users()
        self._table = users.name
        self._named = {name: min(found) for name in set(user_names) if (found := users_named(name))}
        self._names = find_names({users.name: {*sys_ids, *self._named.values()}}, caller).get(users.name, {})

    def named(self, user_name: str) -> Actor:
        """Return the user with a user ID; one that the reader may not see has no page."""
        sys_id = self._named.get(user_name)
        return self.with_sys_id(sys_id) if sys_id and sys_id in self._names else Actor(user_name)

    def with_sys_id(self, sys_id: str) -> Actor:
        """Return the user with a sys_id."""
        name = self._names.get(sys_id)
        return Actor(name, record_url(self._table, sys_id)) if name else Actor(UNKNOWN)


def workload_of(provenance: Mapping[str, Any]) -> Actor | None:
    """Return the workload behind a token, with the address of its run, or None for a person."""
    name = provenance.get("source_workflow") or provenance.get("oauth_subject")
    return Actor(str(name), provenance.get("source_run_url") or None) if name else None


def user_name_of(actor: Mapping[str, Any]) -> str:
    """Return the user ID of an actor of the history."""
    return str(actor.get("user_name") or SYSTEM["user_name"])
