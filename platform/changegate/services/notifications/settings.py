"""The channels that users have chosen for each kind, stored as preferences."""

from collections.abc import Collection, Mapping

from sqlalchemy import select

from changegate.database import connection
from changegate.models import SysUserGroupMember, SysUserPreference
from changegate.services.access.caller import Caller
from changegate.services.notifications.kinds import CHANNELS, GROUP_ASSIGNED, KINDS
from changegate.services.tables.recent_rows import recent_rows
from changegate.services.users.preferences import set_preference

# The value of a preference for no channel: without a value, the channels are those of the kind.
NONE = "none"
_PREFIX = "notification."
_PREFERENCES, _MEMBERS = SysUserPreference.__table__.c, SysUserGroupMember.__table__.c
_INTERESTED = "notified_groups"


def channels_by_user(users: Collection[str]) -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Return the chosen channels by user and kind; kinds without a choice are missing."""
    chosen: dict[str, dict[str, frozenset[str]]] = {user: {} for user in users}
    names = {_PREFIX + kind: kind for kind in KINDS}
    found = select(_PREFERENCES["user"], _PREFERENCES["name"], _PREFERENCES["value"]).where(
        _PREFERENCES["user"].in_(users), _PREFERENCES["name"].in_(names)
    )
    for user, name, value in connection().execute(found):
        chosen[user][names[name]] = frozenset((value or "").split()) & CHANNELS.keys()
    return chosen


def channels_of(user: str) -> dict[str, frozenset[str]]:
    """Return the channels of every kind for a user."""
    chosen = channels_by_user([user])[user]
    return {name: chosen.get(name, kind.channels) for name, kind in KINDS.items()}


def choose_channels(caller: Caller, channels: Mapping[str, Collection[str]]) -> None:
    """Store the channels of every kind for the caller; kinds that are missing have none."""
    for name, kind in KINDS.items():
        chosen = frozenset(channels.get(name, ())) & CHANNELS.keys()
        set_preference(caller, _PREFIX + name, "" if chosen == kind.channels else " ".join(sorted(chosen)) or NONE)
    recent_rows(_INTERESTED).forget()


def is_group_interested(group: str) -> bool:
    """Return whether a member of a group is told what is assigned to it; a choice takes effect within a second."""
    groups: frozenset[str] = recent_rows(_INTERESTED).find(GROUP_ASSIGNED, _read_interested)
    return group in groups


def _read_interested(kind: str) -> frozenset[str]:
    is_chosen = (_PREFERENCES["name"] == _PREFIX + kind, _PREFERENCES["value"] != NONE)
    members = select(_MEMBERS["group"]).where(_MEMBERS["user"].in_(select(_PREFERENCES["user"]).where(*is_chosen)))
    return frozenset(connection().execute(members.distinct()).scalars())
