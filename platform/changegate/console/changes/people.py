"""The people and workloads in the activity of a change, with their names and pages."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from changegate.console.records.pages import record_url
from changegate.services.access.caller import Caller
from changegate.services.history.actors import SYSTEM
from changegate.services.tables.display.display_names import find_names
from changegate.services.tables.display.shapes import DisplayValue, Shape
from changegate.services.tables.queries.encoded_query import Condition, EncodedQuery
from changegate.services.tables.reading.records import read_page
from changegate.services.tables.registry import table_of_users

MOST_ACTORS = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or a workload: its name, and the address of its page if there is one for the reader."""

    name: str
    url: str | None = None


class People:
    """The users whose user names and sys_ids occur in a stream, as far as the reader may see them."""

    def __init__(self, caller: Caller, user_names: Iterable[str], sys_ids: Iterable[str]) -> None:
        users, _ = table_of_users()
        self._table = users.name
        self._by_user_name = dict(_people_named(set(user_names), caller))
        self._names = find_names({users.name: set(sys_ids)}, caller).get(users.name, {})

    def named(self, user_name: str) -> Actor:
        """Return the user with a user name; one that the reader may not see has no page."""
        return self._by_user_name.get(user_name) or Actor(user_name)

    def with_sys_id(self, sys_id: str) -> Actor:
        """Return the user with a sys_id."""
        name = self._names.get(sys_id)
        return Actor(name, record_url(self._table, sys_id)) if name else Actor(sys_id)


def _people_named(user_names: set[str], caller: Caller) -> Iterable[tuple[str, Actor]]:
    users, login = table_of_users()
    if not users.access.admits("read", caller.permissions):
        return
    condition = Condition(login, "IN", ",".join(sorted(user_names)))
    shape = Shape("", DisplayValue.ALL, exclude_reference_link=True, fields=("sys_id", login, users.display_field))
    page = read_page(users, caller, EncodedQuery((((condition,),),)), shape, limit=MOST_ACTORS, offset=0, counts=False)
    for row in page.records:
        name, sys_id = row[users.display_field]["display_value"], row["sys_id"]["value"]
        yield row[login]["value"], Actor(name, record_url(users.name, sys_id))


def workload_of(provenance: Mapping[str, Any]) -> Actor | None:
    """Return the workload behind a token, with the address of its run, or None for a person."""
    name = provenance.get("source_workflow") or provenance.get("oauth_subject")
    return Actor(str(name), provenance.get("source_run_url") or None) if name else None


def user_name_of(actor: Mapping[str, Any]) -> str:
    """Return the user name of an actor of the history."""
    return str(actor.get("user_name") or SYSTEM["user_name"])
