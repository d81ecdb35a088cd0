"""Verification of all histories: entries, roots, and the decisions that are recorded in them."""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import select, tuple_

from changegate.database import connection
from changegate.errors import InputInvalid
from changegate.extensions import now
from changegate.models import ChgHistory, ChgHistoryRoot
from changegate.services.evidence import four_eyes, records
from changegate.services.evidence.observation import Observation
from changegate.services.evidence.roots import ChainKey, Heads, Root, hash_of_heads, is_signed, read_root
from changegate.services.history.chain import CREATED, START, hash_of
from changegate.services.oauth.token_keys import list_token_keys

ENTRIES_AT_ONCE = 1000
CHANGE, POLICY, POLICY_EDITED = "change_request", "chg_policy_approval", "policy_edited"
# What conversions raise for a value that the product did not write: of another type, or cut off.
UNREADABLE = (ValueError, TypeError, zlib.error)
_HISTORY = ChgHistory.__table__
_KEY = (_HISTORY.c.subject_id, _HISTORY.c.subject_table, _HISTORY.c.seq)
Row = dict[str, Any]
# The hashes that roots have of entries, by subject and number.
Expected = dict[ChainKey, dict[int, set[str]]]


@dataclass(slots=True)
class Verification:
    """The result of a verification: what was read, and what was observed."""

    observations: list[Observation] = field(default_factory=list)
    chains: int = 0
    entries: int = 0
    roots: int = 0

    @property
    def is_clean(self) -> bool:
        """Return whether there are no problems; there may be notices."""
        return not any(each.is_problem for each in self.observations)


def verify(exported: Root | None = None) -> Verification:
    """Verify every entry, every root, and every recorded decision, and the exported root of a file.

    Roots are read before the entries: entries that are appended meanwhile are newer than all of them.
    """
    report = Verification()
    expected: Expected = defaultdict(lambda: defaultdict(set))
    try:
        for root, observations in _read_roots():
            report.roots += 1
            report.observations += observations
            if root is not None:
                _expect(expected, root.heads)
    except UNREADABLE:
        sentence = f"Root {report.roots + 1} cannot be read. It and the roots after it were not verified."
        report.observations.append(Observation("root_edited", sentence))
    if exported is not None:
        report.observations += _compare(exported)
        _expect(expected, exported.heads)
    try:
        _verify_chains(report, expected)
    except UNREADABLE:
        sentence = f"An entry after the first {report.entries} cannot be read. Not all entries were verified."
        report.observations.append(Observation("edited", sentence))
        return report
    report.observations += records.find_without_history()
    for table, sys_id in sorted(expected):
        sentence = "A root contains this history, and no entry of it is left."
        report.observations.append(Observation("removed", sentence, table, sys_id))
    return report


def _verify_chains(report: Verification, expected: Expected) -> None:
    """Verify every chain, and remove it from the expected ones."""
    edits = _read_policy_edits()
    for subject, rows in _read_chains():
        report.chains += 1
        report.entries += len(rows)
        observed = [*_verify_chain(rows, expected.pop(subject, {})), *_review(subject, rows, edits)]
        report.observations += [replace(each, subject_table=subject[0], subject_id=subject[1]) for each in observed]


def _expect(expected: Expected, heads: Heads) -> None:
    for subject, (seq, hash_) in heads.items():
        expected[subject][seq].add(hash_)


def _verify_chain(rows: Sequence[Row], expected: Mapping[int, set[str]]) -> Iterator[Observation]:
    """Yield what is wrong with the entries of one chain, given the hashes that roots have of some of them."""
    previous, seq = START, 0
    for row in rows:
        if row["seq"] != seq + 1:
            yield Observation("gap", f"The entries {seq + 1} to {row['seq'] - 1} are missing.", seq=row["seq"])
        elif row["previous_hash"] != previous:
            yield Observation("edited", "The entry does not continue the entry before it.", seq=row["seq"])
        if not row["facts"] or not row["actor"]:
            yield Observation("erased", "The contents of the entry were erased.", seq=row["seq"])
        elif hash_of(row) != row["hash"]:
            yield Observation("edited", "The contents of the entry do not match its hash.", seq=row["seq"])
        if expected.get(row["seq"], set()) - {row["hash"]}:
            yield Observation("edited", "The hash of the entry is not the one in a root.", seq=row["seq"])
        previous, seq = row["hash"], row["seq"]
    if (last := max(expected, default=0)) > seq:
        yield Observation("truncated", f"The entries {seq + 1} to {last} are missing.", seq=seq)


def _review(subject: ChainKey, rows: Sequence[Row], edits: four_eyes.Edits) -> Iterator[Observation]:
    """Yield what is wrong with the recorded decisions of a change, and with its present row."""
    entries = _parsed(rows) if subject[0] == CHANGE else None
    if entries is None:
        return  # not a change, or observed as edited or erased
    try:
        yield from four_eyes.review(entries, edits)
    except (KeyError, TypeError, AttributeError):
        yield Observation("edited", "A decision or an answer has no facts to check.")
    yield from records.compare(subject[1], entries)


def _parsed(rows: Sequence[Row]) -> list[four_eyes.HistoryEntry] | None:
    """Return entries with parsed JSON, or None if it is not that of entries."""
    entries = []
    for row in rows:
        try:
            actor, facts = orjson.loads(row["actor"]), orjson.loads(row["facts"])
        except (orjson.JSONDecodeError, TypeError):
            return None
        if not isinstance(actor, dict) or not isinstance(facts, dict):
            return None
        entries.append(four_eyes.HistoryEntry(row["seq"], row["kind"], row["sys_created_on"], actor, facts))
    return entries


def _read_chains() -> Iterator[tuple[ChainKey, list[Row]]]:
    """Yield every chain with its entries in order."""
    for (table, sys_id), rows in groupby(_read_entries(), lambda row: (row["subject_table"], row["subject_id"])):
        yield (table, sys_id), [*rows]


def _read_entries() -> Iterator[Row]:
    """Yield every entry by subject and number, a page at a time: a cursor would keep PostgreSQL's snapshot open."""
    statement = select(_HISTORY).order_by(*_KEY).limit(ENTRIES_AT_ONCE)
    page = [dict(row) for row in connection().execute(statement).mappings()]
    while page:
        yield from page
        following = statement.where(tuple_(*_KEY) > tuple(page[-1][column.name] for column in _KEY))
        page = [dict(row) for row in connection().execute(following).mappings()]


def _read_policy_edits() -> four_eyes.Edits:
    """Return who edited which policy, and when."""
    rows = connection().execute(
        select(_HISTORY.c.subject_id, _HISTORY.c.sys_created_on, _HISTORY.c.actor)
        .where(_HISTORY.c.subject_table == POLICY, _HISTORY.c.kind.in_((CREATED, POLICY_EDITED)))
        .order_by(*_KEY)
    )
    edits = defaultdict(list)
    for row in rows:
        try:
            user = orjson.loads(row.actor)["user"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue  # observed as edited or erased
        edits[row.subject_id].append((row.sys_created_on, user))
    return edits


def _read_roots() -> Iterator[tuple[Root | None, list[Observation]]]:
    """Yield every stored root with what is wrong with it; None for one that cannot be read."""
    blocked = {key.kid for key in list_token_keys(now()) if key.blocked_at}
    heads: Heads = {}
    previous, number = START, 0
    for row in connection().execute(select(ChgHistoryRoot.__table__).order_by(ChgHistoryRoot.number)):
        observations = []
        if row.number != number + 1:
            missing = f"The roots {number + 1} to {row.number - 1} are missing."
            observations.append(Observation("root_missing", missing))
        try:
            root = read_root(row.signed, row.public_jwk, row.heads)
        except InputInvalid:
            yield None, [*observations, Observation("root_edited", f"Root {row.number} cannot be read.")]
            previous, number = "", row.number
            continue
        heads |= root.heads
        is_whole = (root.chains, root.root) == (len(heads), hash_of_heads(heads))
        is_same = (root.number, root.made_at) == (row.number, row.made_at)
        if not (is_signed(root) and is_same and is_whole and (root.previous == previous or row.number != number + 1)):
            observations.append(Observation("root_edited", f"Root {row.number} does not match its signature or heads."))
        if root.public_jwk.get("kid") in blocked:
            observations.append(Observation("root_key_blocked", f"The key that signed root {row.number} is blocked."))
        yield root, observations
        previous, number = root.digest, row.number


def _compare(exported: Root) -> Iterator[Observation]:
    """Yield what is wrong with the stored root of an exported one."""
    stored = connection().execute(select(ChgHistoryRoot.signed).where(ChgHistoryRoot.number == exported.number))
    signed = stored.scalar_one_or_none()
    if signed is None:
        yield Observation("root_missing", f"Root {exported.number} of the file is not in the database.")
    elif signed != exported.signed:
        yield Observation("root_differs", f"Root {exported.number} of the file is another one than in the database.")
