"""Who acts: the person, the account that they act for, and the workload behind a token."""

from typing import Any

from changegate.services.access.caller import Caller
from changegate.services.provenance.provenance import provenance_of

# Who acts when no caller does: jobs, and what Changegate does by rule.
SYSTEM: dict[str, Any] = {"user": None, "user_name": "system"}


def actor_of(caller: Caller, acts_for: str | None = None) -> dict[str, Any]:
    """Return the actor for a caller.

    `user` and `user_name` are always present. A token adds `integration`, `oauth_…`, and `source_…` as the provenance
    fields of records are named. `acts_for` is the sys_id of the user for whom a delegate or an administrator acts.
    """
    # A job has no user.
    actor: dict[str, Any] = {"user": caller.sys_id or None, "user_name": caller.user_name}
    if caller.grant is not None:
        actor["integration"] = caller.grant.entity
    if caller.origin is not None:
        actor |= provenance_of(caller.origin)
    return actor | ({"acts_for": acts_for} if acts_for else {})
