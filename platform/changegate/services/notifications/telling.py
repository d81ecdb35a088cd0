"""The job that an event enqueues in its transaction, and whom it names."""

from collections.abc import Iterable

from changegate.models.messages import MAX_DETAIL
from changegate.services.access.caller import Caller
from changegate.services.jobs.queue import enqueue

# The kind of job that delivers notifications.
DELIVER = "notifications.deliver"
# How an event names people: a user, also with their delegates, the members of a group, or the users with a role.
USER, USER_OR_DELEGATE, GROUP, ROLE = "user", "user_or_delegate", "group", "role"
# Kind of notification, one of the ways above, and a sys_id, or the name of a role.
Told = tuple[str, str, str]


def tell(
    event: str,
    table: str,
    sys_id: str,
    told: Iterable[Told],
    caller: Caller,
    *,
    detail: str | None = None,
    text: str | None = None,
    key: str | None = None,
) -> None:
    """Have people told of an event of a record after the commit, without the caller, whose action it is.

    `detail` is a part of a sentence, `text` what a person wrote. With a `key`, each user is told once.
    """
    others = [each for each in told if each[2] != caller.sys_id]
    if others:
        about = {"event": event, "table": table, "record": sys_id, "author": caller.sys_id, "key": key}
        enqueue(DELIVER, {**about, "told": others, "detail": detail and detail[:MAX_DETAIL], "text": text})
