"""The hooks of a table: rules for the writes of its records, and what follows them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from changegate.services.access.caller import Caller

Values = dict[str, Any]


class AttachedFile(NamedTuple):
    """The name of an attachment, and the SHA-256 of its bytes in hex."""

    file_name: str
    digest: str


class Rules:
    """The hooks of a table, called for every write of one of its records. Each does nothing unless it is overridden.

    Values have Python types, and references are sys_ids. The `before_` hooks may change the values or refuse the write.
    The `after_` hooks run when the record is written, in the same transaction; those of a creation and of an update
    return further values that they have written to the record itself, or None.
    """

    def presets(self, sent: Mapping[str, Any]) -> Mapping[str, str]:
        """Return texts for fields of a new record that the request does not set; they take precedence over defaults."""
        return {}

    def origin_of(self, caller: Caller) -> Mapping[str, Any]:
        """Return the fields of a new record that name the integration and workload that create it."""
        return {}

    def require_unused(self, sys_id: str) -> None:
        """Refuse a sys_id that a caller has chosen for a new record and that cannot be used again."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Complete the values of a new record in place, or refuse it."""

    def after_create(self, values: Values, caller: Caller) -> Values | None:
        """Update other records after a record was created."""

    def before_lock(self, sys_id: str) -> None:
        """Lock the records that are locked before this one, which is about to be updated or deleted."""

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Complete the changes to a record in place, or refuse them."""

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> Values | None:
        """Update other records after a record was changed; `record` has the values before the changes."""

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse the deletion of a record, or update other records before it."""

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse the deletion because of the state in which it has left other records."""

    def after_removal(self, field: str, record: Mapping[str, Any], caller: Caller) -> None:
        """Do what follows from the deletion of a record together with the one in its `field`."""
        self.after_delete(record, caller)

    def after_attachment(
        self, sys_id: str, removed: AttachedFile | None, added: AttachedFile | None, caller: Caller
    ) -> None:
        """Do what follows from an attachment that was added to a record, removed from it, or renamed (both are set)."""


class Observer(Protocol):
    """The hooks that follow every write of a record, whether by a caller or by the rules, within its transaction.

    They neither refuse nor change anything. The row of a new record may not be in the database yet.
    """

    def created(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Follow the creation of a record."""

    def changed(self, before: Mapping[str, Any], changes: Mapping[str, Any], caller: Caller) -> None:
        """Follow the changes to a record."""

    def noted(self, record: Mapping[str, Any], entries: Mapping[str, str], caller: Caller) -> None:
        """Follow entries of journal fields that a caller has added to a record."""
