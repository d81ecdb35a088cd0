"""The provenance of a record: the workload whose token created it.

All values come from the verified claims of an exchange and are copied once, when the record is created. For providers
with a claim layout, further claims are copied; for all others only issuer and subject, which mean the same everywhere.
"""

from changegate.database.packed import PackedJSON
from changegate.models import Task
from changegate.models.base import Entry
from changegate.printable import printable
from changegate.services.access.caller import TokenOrigin
from changegate.services.provenance.claim_layouts import Layout, find_layout, text_of_claim
from changegate.services.provenance.run_urls import Claims

RUN_URL = "source_run_url"
SOURCE_EMAIL = "source_email"
CUT = "\N{HORIZONTAL ELLIPSIS}"
_packed = PackedJSON()


def provenance_of(origin: TokenOrigin) -> dict[str, str]:
    """Return the provenance fields of a new record, from the exchange that issued its creator's token.

    The claims were verified before they were stored. A value that is too long for its column is cut and ends with an
    ellipsis. An address that is too long is left out, because a part of it would lead elsewhere.
    """
    known = {
        "oauth_client_id": origin.client_id,
        "oauth_issuer": origin.issuer,
        "oauth_subject": origin.subject,
        "oauth_exchange": origin.correlation_id,
    }
    fields = {name: text for name, text in known.items() if text}
    if origin.issuer and origin.claims is not None:
        claims = _packed.process_result_value(origin.claims, None)
        layout = find_layout(origin.preset, origin.issuer)
        fields |= read_provenance(layout, origin.issuer, claims) if layout else {}
        fields |= _verified_email(claims)
    return fields


def _verified_email(claims: Claims) -> dict[str, str]:
    """Return the email of the person, if the provider has verified it (OpenID Connect Core 1.0 §5.1)."""
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
        return {}
    # An email that was cut would belong to another person.
    return {SOURCE_EMAIL: email} if 0 < len(email) <= _length(SOURCE_EMAIL) else {}


def read_provenance(layout: Layout, issuer: str, claims: Claims) -> dict[str, str]:
    """Return the provenance fields that a layout reads from verified claims."""
    read = {name: text_of_claim(reader(claims)) for name, reader in layout.fields.items()}
    fields = {name: _fitted(text, _length(name)) for name, text in read.items() if text}
    url = layout.run_url(issuer, claims)
    return fields | {RUN_URL: url} if url and len(url) <= _length(RUN_URL) else fields


def _fitted(text: str, length: int) -> str:
    text = printable(text)
    return text if len(text) <= length else text[: length - len(CUT)] + CUT


def _length(field: str) -> int:
    entry: Entry = Task.__table__.c[field].info["entry"]
    return entry.max_length or 0
