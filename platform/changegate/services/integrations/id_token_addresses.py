"""The rule that an ID token must not fit two active integrations.

See docs/reference/inbound-integrations.md#connection-types.
"""

from collections.abc import Iterable

from sqlalchemy import select

from changegate.errors import InputInvalid
from changegate.extensions import db
from changegate.models import OAuthEntity
from changegate.models.integration_choices import ID_TOKEN

TAKEN = "The ID token integration {} takes the tokens of this issuer for {} already. Give each an audience of its own."


def require_sole_addressee(entity: OAuthEntity) -> None:
    """Raise `InputInvalid` for an integration whose ID tokens would fit another active integration as well.

    No lock prevents two such integrations from being saved at the same moment. Their tokens are then refused as
    ambiguous.
    """
    if entity.type != ID_TOKEN or not entity.active:
        return
    own = set(entity.audiences)
    for name, audiences in _others_of_issuer(entity):
        if shared := own.intersection(audiences):
            raise InputInvalid({"audiences": [TAKEN.format(name, ", ".join(sorted(shared)))]})


def _others_of_issuer(entity: OAuthEntity) -> Iterable[tuple[str, list[str]]]:
    other = OAuthEntity
    meant_alike = (other.issuer == entity.issuer, other.audience_claim == entity.audience_claim)
    statement = select(other.name, other.audiences).where(
        other.type == ID_TOKEN, other.active, *meant_alike, other.sys_id != (entity.sys_id or "")
    )
    with db.session.no_autoflush:
        return [(row.name, row.audiences or []) for row in db.session.execute(statement.order_by(other.name))]
