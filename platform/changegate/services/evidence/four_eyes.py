"""Four eyes, checked again from the history of a change: who asked for it, who answered, and which answers counted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from changegate.services.approvals.content import RECALCULATED
from changegate.services.approvals.eligibility import governed_by
from changegate.services.evidence.observation import Observation
from changegate.services.history.chain import CHANGES, CREATED
from changegate.services.state_models.shipped import CANCELED, CLOSED, IMPLEMENT, NEW, REVIEW

APPROVED, REQUESTED, DECIDED, ANSWERED = "approved", "requested", "decided", "answered"
# An answer of an earlier state that a rule accepts.
ACCEPTED = "accepted"
# The kinds of entries with edits of fields.
EDITED = frozenset({"edited", "moved"})
# The kinds of entries that end approvals, with their answers.
ENDED = frozenset({"voided", "withdrawn", "expired"})
# States in which a change needs no approval.
UNBOUND = frozenset(map(str, (NEW, IMPLEMENT, REVIEW, CLOSED, CANCELED)))
# The fields of a change with the people who asked for it.
PEOPLE = ("requested_by", "opened_by")


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An entry of a history, with parsed actor and facts."""

    seq: int
    kind: str
    at: datetime
    actor: Mapping[str, Any]
    facts: Mapping[str, Any]


# Who has edited a policy, and when, by the sys_id of the policy.
Edits = Mapping[str, Sequence[tuple[datetime, str]]]


@dataclass(slots=True)
class _Past:
    """What a history contains up to an entry: who asked for the change, who answered, and who has edited it."""

    people: set[str] = field(default_factory=set)
    answers: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    # The fields that users have edited since the first request of the round.
    edits: dict[str, set[str]] = field(default_factory=dict)
    requested_round: int | None = None

    def follow(self, entry: HistoryEntry) -> None:
        """Take an entry into account."""
        self.people |= _people_in(entry)
        if entry.kind == REQUESTED and entry.facts.get("round") != self.requested_round:
            self.requested_round, self.edits = entry.facts.get("round"), {}
        elif entry.kind in EDITED and self.requested_round is not None:
            edited = entry.facts.get(CHANGES, {}).keys() - RECALCULATED
            self.edits.setdefault(str(entry.actor.get("user")), set()).update(edited)
        elif entry.kind == ANSWERED:
            self.answers[entry.facts["approval"]] = entry.facts
        elif entry.kind == ACCEPTED and entry.facts["earlier"] in self.answers:
            self.answers[entry.facts["approval"]] = self.answers[entry.facts["earlier"]]
        elif entry.kind in ENDED:
            for each in entry.facts["approvals"]:
                self.answers.pop(each["approval"], None)


def review(entries: Sequence[HistoryEntry], edits: Edits) -> Iterator[Observation]:
    """Yield what is wrong with the decisions in the history of one change, or notable about them."""
    past = _Past()
    for entry in entries:
        past.follow(entry)
        if entry.kind == CREATED and _is_imported_approval(entry.facts):
            yield Observation("approval_imported", "No policy requested the approval of the change.", seq=entry.seq)
        elif entry.kind == DECIDED and entry.facts["outcome"] == APPROVED:
            yield from _review_decision(entry, past, edits)


def _is_imported_approval(facts: Mapping[str, Any]) -> bool:
    return facts.get("approval") == APPROVED and facts.get("state") not in UNBOUND


def _people_in(entry: HistoryEntry) -> set[str]:
    """Return the people who, by this entry, asked for the change."""
    named = [entry.facts.get(name) for name in PEOPLE]
    changed = (user for name in PEOPLE for user in entry.facts.get(CHANGES, {}).get(name, ()))
    return {user for user in (*named, *changed) if user}


def _review_decision(entry: HistoryEntry, past: _Past, edits: Edits) -> Iterator[Observation]:
    explanation = entry.facts.get("explanation", {})
    initiators = past.people.union(explanation.get("initiators", ()))
    authors = {user for at, user in edits.get(entry.facts.get("policy") or "", ()) if at <= entry.at}
    counted = [(rule, each) for rule in explanation.get("rules", ()) for each in rule.get("counted", ())]
    for rule, each in counted:
        approval, voters = each["approval"], {each["approver"], each.get("answered_by") or each["approver"]}
        if not _is_given(past.answers.get(approval), voters, entry.facts.get("round")):
            yield _observe("answer_unrecorded", f"counts the approval {approval}, which is not recorded as such", entry)
        if not rule.get("definition", {}).get("allows_requester"):
            for user in sorted(voters & initiators):
                yield _observe("own_approval", f"counts an answer of {user}, who asked for the change", entry)
            for user in sorted(voters & past.edits.keys()):
                if past.edits[user] & governed_by(rule):
                    yield _observe("own_approval", f"counts an answer of {user}, who has edited the change", entry)
        for user in sorted(voters & authors):
            sentence = f"was made under a policy that {user}, whose answer counted, had edited"
            yield _observe("policy_edited_by_approver", sentence, entry)
    if actor := explanation.get("unmapped_actor"):
        yield _observe("actor_unknown", f"cannot know who is behind {actor}", entry)


def _is_given(answer: Mapping[str, Any] | None, voters: set[str], of_round: int | None) -> bool:
    """Return whether an answer that counted was recorded: in this round, by these people, and not ended since."""
    if answer is None or answer["state"] != APPROVED or answer.get("round") != of_round:
        return False
    return {answer["approver"], answer["answered_by"]} == voters


def _observe(code: str, sentence: str, entry: HistoryEntry) -> Observation:
    return Observation(code, f"The decision {sentence}.", seq=entry.seq)
