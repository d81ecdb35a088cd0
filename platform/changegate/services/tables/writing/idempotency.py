"""Idempotent creation with the `Idempotency-Key` header: a repeated request does not create a second record.

    first request  ──INSERT key──> INSERT record ──> commit: the key and the record exist, or neither does
    second request ──INSERT key──> waits for the first transaction, then returns its record

A key belongs to one user, one integration, and one table, and is kept for a day. On SQLite, the second request waits in
the write queue; on PostgreSQL, it waits for the unique index.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import select

from changegate.database.dialects import Upsert
from changegate.database.prepared import Prepared, parameter
from changegate.errors import KeyAlreadyUsed, RecordNotFound, RequestUnreadable
from changegate.extensions import now, settings
from changegate.models import IdempotencyKey
from changegate.services.access.caller import Caller
from changegate.services.jobs.cleanups import deletes
from changegate.services.tables.reading.records import get_row, require_operation
from changegate.services.tables.registry import Table
from changegate.services.tables.writing.ignored_fields import EMPTY_BODY, as_sent, unwritable_names
from changegate.services.tables.writing.records import create_record, new_record_id

KEYS_KEPT_FOR = timedelta(hours=24)
_KEY = re.compile("[ -~]{1,255}")
OTHER_BODY = "This Idempotency-Key came with another body before"
RECORD_IS_GONE = "The record that this Idempotency-Key created has been deleted"
Keys = IdempotencyKey.__table__


def create_once(
    table: Table,
    caller: Caller,
    key: str,
    sent: Mapping[str, Any],
    *,
    input_display_value: bool = False,
    ignored: list[str] | None = None,
) -> Mapping[str, Any]:
    """Create a record, or return the current values of the record that this key has created; values by field.

    If several calls with one key run at the same time, one creates the record and the others wait for it. Raises the
    errors of `create_record`, `RequestUnreadable` for an invalid key, and `KeyAlreadyUsed` if the body differs or the
    record has been deleted.
    """
    if not _KEY.fullmatch(key):
        raise RequestUnreadable("Header Idempotency-Key: 1 to 255 printable ASCII characters are expected")
    require_operation(table, caller.permissions, "create")
    key_hash, body_hash = _key_hash(table, caller, key), _body_hash(sent, input_display_value)
    # Chosen before the record exists: the row of the key names it, and is written first.
    sys_id = new_record_id({name.lower(): value for name, value in sent.items()})
    if _reserve(table, key_hash, body_hash, sys_id):
        options: dict[str, Any] = {"input_display_value": input_display_value, "ignored": ignored}
        return create_record(table, caller, sent, sys_id=sys_id, **options)
    if ignored is not None:
        ignored += as_sent(sent, unwritable_names(table, map(str.lower, sent), is_new=True)) if sent else [EMPTY_BODY]
    return _created_before(table, caller, key_hash, body_hash)


def _created_before(table: Table, caller: Caller, key_hash: str, body_hash: str) -> Mapping[str, Any]:
    reserved = _FIND.first({"key_hash": key_hash})
    if reserved is None or reserved.body_hash != body_hash:
        raise KeyAlreadyUsed(OTHER_BODY)
    fields = table.fields_for(caller.permissions)
    try:
        row = get_row(table, caller, reserved.record, fields)
    except RecordNotFound:
        # Creating it again would undo an intended deletion.
        raise KeyAlreadyUsed(RECORD_IS_GONE) from None
    return dict(zip(fields, row, strict=True))


purge_keys = deletes(
    "tables.purge_idempotency_keys",
    "expired idempotency keys",
    IdempotencyKey.key_hash,
    lambda at: IdempotencyKey.expires_at <= at,
)


def _reserve(table: Table, key_hash: str, body_hash: str, sys_id: str) -> bool:
    """Reserve a key in the caller's transaction; return False if it is in use.

    A single INSERT decides. It waits for a concurrent transaction with the same key, and replaces an expired one.
    """
    at = now()
    values = {"key_hash": key_hash, "body_hash": body_hash, "table": table.name, "record": sys_id}
    instants = {"created_at": at, "expires_at": at + KEYS_KEPT_FOR}
    return _RESERVATION.execute(values | instants) == 1


# With DO NOTHING, an expired key that is not deleted yet would stay in use.
_RESERVATION = Upsert(Keys, lambda old, new: old.expires_at <= new.created_at)
_FIND = Prepared(select(Keys.c.body_hash, Keys.c.record).where(Keys.c.key_hash == parameter("key_hash")))


def _key_hash(table: Table, caller: Caller, key: str) -> str:
    # NUL cannot occur in any of the members, so that two different combinations never form the same text.
    entity = caller.grant.entity if caller.grant else ""
    return hashlib.sha256("\0".join((caller.sys_id, entity, table.name, key)).encode()).hexdigest()


def _body_hash(sent: Mapping[str, Any], input_display_value: bool) -> str:
    """Return the hash of a body and of the parameter that determines its meaning, whatever the order of the keys."""
    try:
        canonical = orjson.dumps([sent, input_display_value], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise RequestUnreadable("The body is nested too deeply to be sent with an Idempotency-Key") from None
    # Keyed, because a body may contain a password: with a copy of the database alone, guesses cannot be checked.
    return hmac.digest(settings().secret_key.encode(), canonical, "sha256").hex()
