"""What a verification observes: problems, which prove an alteration or a breach of the rules, and notices."""

from dataclasses import dataclass

# Observations that people should look at, although everything is recorded as it must be.
NOTICES = frozenset(
    {"actor_unknown", "approval_imported", "history_missing", "policy_edited_by_approver", "root_key_blocked"}
)


@dataclass(frozen=True, slots=True)
class Observation:
    """An observation about a root, or about the history of a record or an entry in it."""

    code: str
    sentence: str
    subject_table: str | None = None
    subject_id: str | None = None
    seq: int | None = None

    @property
    def is_problem(self) -> bool:
        """Return whether it is more than a notice."""
        return self.code not in NOTICES
