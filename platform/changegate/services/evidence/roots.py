"""Signed roots: the hash over the last entries of all chains at a moment, signed with the published token key.

    root 1 ──> heads of all chains
    root 2 ──> heads of the chains that continued since root 1 ──┐
    root 3 ──> heads of the chains that continued since root 2 ──┴──> applied in order: the heads of all chains

A root signs the hash of all heads and the hash of the root before it, so that one exported root pins all earlier ones.
Only the heads that are new since the previous root are stored with it. See decision 0026.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import and_, func, insert, select

from changegate.database import connection
from changegate.errors import ChangegateError, InputInvalid
from changegate.models import ChgHistory, ChgHistoryRoot
from changegate.services.history.chain import START, canonical, digest_of
from changegate.services.jobs.repeating import repeating
from changegate.services.keys.base64url import decode_base64url
from changegate.services.oauth.token_key import header_of, load_verifier
from changegate.services.oauth.token_keys import get_signer, list_published

TYP = "changegate-history-root+jwt"
FORMAT = "changegate-history-root-1"
HOW_OFTEN = timedelta(hours=1)
# A transaction that wrote an entry before a root, and committed after it, has ended by then.
LATE = timedelta(days=1)
ChainKey = tuple[str, str]
# (number, hash) of the last entry by subject: table and sys_id.
Heads = dict[ChainKey, tuple[int, str]]
_HISTORY = ChgHistory.__table__.c
_ROOTS = ChgHistoryRoot.__table__


@dataclass(frozen=True, slots=True)
class Root:
    """A root: what is signed, the signed form itself, and the heads that are stored with it."""

    number: int
    made_at: datetime
    chains: int
    root: str
    previous: str
    signed: str
    public_jwk: Mapping[str, Any]
    heads: Heads

    @property
    def digest(self) -> str:
        """Return the hash by which the next root refers to this one."""
        return digest_of(self.signed)


@repeating("history.root", every=HOW_OFTEN)
def make_daily_root(at: datetime) -> bool:
    """Make the root of the day unless it exists; return False, since one run does all the work."""
    made_at = connection().execute(select(func.max(_ROOTS.c.made_at))).scalar()
    if made_at is None or made_at.date() < at.date():
        make_root(at)
    return False


def make_root(at: datetime) -> Root:
    """Make and store a root of all chains. Raises `TemporarilyUnavailable` if no key can sign."""
    at = at.replace(microsecond=0)
    # First, because it may rotate the keys in a transaction of its own.
    signer = get_signer(at)
    public_jwk = next(key for key in list_published(at) if key["kid"] == signer.kid)
    roots = [*list_roots()]
    last = roots[-1] if roots else None
    continued = _heads_since(last.made_at - LATE if last else None)
    heads = heads_of(roots) | continued
    statement: dict[str, Any] = {
        "number": last.number + 1 if last else 1,
        "made_at": at,
        "chains": len(heads),
        "root": hash_of_heads(heads),
        "previous": last.digest if last else START,
    }
    signed = signer.sign(canonical(statement).encode(), TYP)
    row = {"number": statement["number"], "made_at": at, "signed": signed, "public_jwk": public_jwk}
    connection().execute(insert(_ROOTS).values(**row, heads=_listed(continued)))
    return Root(**statement, signed=signed, public_jwk=public_jwk, heads=continued)


def list_roots() -> Iterator[Root]:
    """Yield the stored roots in order. Raises `InputInvalid` for one whose signed form cannot be read."""
    for row in connection().execute(select(_ROOTS).order_by(_ROOTS.c.number)):
        yield read_root(row.signed, row.public_jwk, row.heads)


def heads_of(roots: Iterable[Root]) -> Heads:
    """Return the heads of all chains at the last of some roots, which are all roots up to it."""
    heads: Heads = {}
    for root in roots:
        heads |= root.heads
    return heads


def hash_of_heads(heads: Heads) -> str:
    """Return the root hash: the hash of the canonical JSON of all heads, sorted by their subjects."""
    return digest_of(canonical(_listed(heads)))


def export_root(number: int | None = None) -> bytes:
    """Return a root with the heads of all chains as a JSON file; the latest one without a number."""
    roots = [root for root in list_roots() if number is None or root.number <= number]
    if not roots or (number and roots[-1].number != number):
        raise ChangegateError(f"There is no root {number}." if number else "There is no root yet.")
    last = roots[-1]
    heads = _listed(heads_of(roots))
    content = {"format": FORMAT, "signed": last.signed, "public_jwk": last.public_jwk, "heads": heads}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def read_exported(content: bytes) -> Root:
    """Return the root of an exported file, with the heads of all chains. Raises `InputInvalid`."""
    try:
        read = orjson.loads(content)
        if read["format"] != FORMAT:
            raise ValueError
        root = read_root(read["signed"], read["public_jwk"], read["heads"])
    except (KeyError, TypeError, ValueError):
        raise InputInvalid({"root": ["The file is not a root that `changegate history export-root` wrote."]}) from None
    if (len(root.heads), hash_of_heads(root.heads)) != (root.chains, root.root):
        raise InputInvalid({"root": ["The heads in the file are not those that its root signs."]})
    if not is_signed(root):
        raise InputInvalid({"root": ["The signature of the file does not match."]})
    return root


def read_root(signed: str, public_jwk: Mapping[str, Any], heads: list[list[Any]]) -> Root:
    """Return a root from its stored parts, without verifying the signature. Raises `InputInvalid`."""
    try:
        statement = orjson.loads(decode_base64url(signed.split(".")[1]) or b"")
        statement["made_at"] = datetime.fromisoformat(statement["made_at"])
        listed = {(table, sys_id): (int(seq), str(hash_)) for table, sys_id, seq, hash_ in heads}
        return Root(**statement, signed=signed, public_jwk=dict(public_jwk), heads=listed)
    except (IndexError, KeyError, TypeError, ValueError, AttributeError):
        raise InputInvalid({"root": ["A signed root cannot be read."]}) from None


def is_signed(root: Root) -> bool:
    """Return whether the key that is stored with a root has signed it, and is named by its thumbprint."""
    kid = str(root.public_jwk.get("kid"))
    try:
        verifier = load_verifier(kid, root.public_jwk)
    except ValueError:
        return False
    signing_input, _, signature = root.signed.rpartition(".")
    decoded = decode_base64url(signature)
    if verifier is None or decoded is None or signing_input.partition(".")[0] != header_of(kid, TYP):
        return False
    return verifier.has_signed(signing_input.encode(), decoded)


def _heads_since(at: datetime | None) -> Heads:
    """Return the heads of the chains with an entry since a moment, or of all chains."""
    subject = (_HISTORY.subject_table, _HISTORY.subject_id)
    last = select(*subject, func.max(_HISTORY.seq).label("seq")).group_by(*subject)
    if at is not None:
        last = last.having(func.max(_HISTORY.sys_created_on) >= at)
    of = last.subquery().c
    is_last = and_(
        _HISTORY.subject_table == of.subject_table, _HISTORY.subject_id == of.subject_id, _HISTORY.seq == of.seq
    )
    rows = connection().execute(select(*subject, _HISTORY.seq, _HISTORY.hash).where(is_last))
    return {(row.subject_table, row.subject_id): (row.seq, row.hash) for row in rows}


def _listed(heads: Heads) -> list[list[Any]]:
    return [[*subject, *head] for subject, head in sorted(heads.items())]
