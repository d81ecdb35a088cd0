"""Four eyes, checked again from the history of a change: who asked for it, who answered, and which answers counted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from changegate.services.approvals.departures import UNBOUND_STATES
from changegate.services.evidence.observation import Observation
from changegate.services.history.chain import CHANGES, CREATED

APPROVED, DECIDED, ANSWERED = "approved", "decided", "answered"
# An answer of an earlier state that a rule accepts.
ACCEPTED = "accepted"
# The kinds of entries that end approvals, with their answers.
ENDED = frozenset({"voided", "withdrawn"})
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


def review(entries: Sequence[HistoryEntry], edits: Edits) -> Iterator[Observation]:
    """Yield what is to be said about the decisions in the history of one change."""
    people: dict[str, str] = {}
    answers: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        people |= _people_in(entry)
        if entry.kind == CREATED and _is_imported_approval(entry.facts):
            yield Observation("approval_imported", "No policy requested the approval of the change.", seq=entry.seq)
        if entry.kind == ANSWERED:
            answers[entry.facts["approval"]] = entry.facts
        elif entry.kind == ACCEPTED and entry.facts["earlier"] in answers:
            answers[entry.facts["approval"]] = answers[entry.facts["earlier"]]
        elif entry.kind in ENDED:
            for each in entry.facts["approvals"]:
                answers.pop(each["approval"], None)
        elif entry.kind == DECIDED and entry.facts["outcome"] == APPROVED:
            yield from _review_decision(entry, people, answers, edits)


def _is_imported_approval(facts: Mapping[str, Any]) -> bool:
    return facts.get("approval") == APPROVED and facts.get("state") not in {str(state) for state in UNBOUND_STATES}


def _people_in(entry: HistoryEntry) -> dict[str, str]:
    """Return the people who, by this entry, asked for the change, with the field that says so."""
    changes = entry.facts.get(CHANGES, {})
    named = {entry.facts.get(name): name for name in PEOPLE} if entry.kind == CREATED else {}
    for name in PEOPLE:
        named |= dict.fromkeys(changes.get(name, ()), name)
    return {user: name for user, name in named.items() if user}


def _review_decision(
    entry: HistoryEntry, people: Mapping[str, str], answers: Mapping[str, Mapping[str, Any]], edits: Edits
) -> Iterator[Observation]:
    explanation = entry.facts.get("explanation", {})
    initiators = {**people, **explanation.get("initiators", {})}
    editors = {user for at, user in edits.get(entry.facts.get("policy") or "", ()) if at <= entry.at}
    counted = [(rule, each) for rule in explanation.get("rules", ()) for each in rule.get("counted", ())]
    for rule, each in counted:
        approval, voters = each["approval"], {each["approver"], each.get("answered_by") or each["approver"]}
        if not _is_given(answers.get(approval), voters, entry.facts.get("round")):
            yield _observe("answer_unrecorded", f"counts the approval {approval}, which is not recorded as such", entry)
        for user in sorted(voters & initiators.keys()):
            if not rule.get("definition", {}).get("allows_requester"):
                yield _observe("own_approval", f"counts an answer of {user}, who asked for the change", entry)
        for user in sorted(voters & editors):
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
