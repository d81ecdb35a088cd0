"""Provenance: what a record says of the workload whose token created it.

Everything comes from an exchange's verified claims and is copied once, when the record is created. Which claim says
what is known for some providers; of others it is issuer and subject that are kept, which mean the same everywhere.
"""

from functools import lru_cache

from changegate.models import Task
from changegate.models.base import Entry
from changegate.models.packed import PackedJSON
from changegate.printable import printable
from changegate.services.access.caller import TokenOrigin
from changegate.services.provenance.claim_layouts import Layout, find_layout, text_of_claim
from changegate.services.provenance.run_urls import Claims

RUN_URL = "source_run_url"
CUT = "\N{HORIZONTAL ELLIPSIS}"
_packed = PackedJSON()


def provenance_of(origin: TokenOrigin) -> dict[str, str]:
    """Return what a new record says of the exchange that bought its creator's token, by field.

    Claims were verified when they were kept. A value that its column does not hold is cut, which its end shows; an
    address that is too long is left out, because a part of it leads elsewhere.
    """
    known = {
        "oauth_client_id": origin.client_id,
        "oauth_issuer": origin.issuer,
        "oauth_subject": origin.subject,
        "oauth_exchange": origin.correlation_id,
    }
    found = {name: text for name, text in known.items() if text}
    if origin.issuer and origin.claims is not None:
        layout = find_layout(origin.preset, origin.issuer)
        if layout is not None:
            found |= read_claims(layout, origin.issuer, _packed.process_result_value(origin.claims, None))
    return found


def read_claims(layout: Layout, issuer: str, claims: Claims) -> dict[str, str]:
    """Return what verified claims say, by field."""
    read = {name: text_of_claim(reader(claims)) for name, reader in layout.fields.items()}
    found = {name: _fitted(text, _length(name)) for name, text in read.items() if text}
    url = layout.run_url(issuer, claims)
    return found | {RUN_URL: url} if url and len(url) <= _length(RUN_URL) else found


def _fitted(text: str, length: int) -> str:
    text = printable(text)
    return text if len(text) <= length else text[: length - len(CUT)] + CUT


@lru_cache
def _length(field: str) -> int:
    entry: Entry = Task.__table__.c[field].info["entry"]
    return entry.max_length or 0
