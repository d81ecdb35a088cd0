"""Identity providers as the sign-in uses them: their records with the secret decrypted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import RecordNotFound, SealBroken
from changegate.extensions import settings
from changegate.models import OidcProviderConfiguration
from changegate.sealed import unseal

_TABLE = OidcProviderConfiguration.__table__
_PUBLIC = (_TABLE.c["sys_id"], _TABLE.c["name"], _TABLE.c["alias"], _TABLE.c["issuer"])
PATH = "/single-sign-on"


@dataclass(frozen=True, slots=True, repr=False)
class Provider:
    """An identity provider; it holds the client secret in clear."""

    sys_id: str
    name: str
    alias: str
    issuer: str
    client_id: str
    client_secret: str | None
    scopes: str
    create_users: bool
    user_name_claim: str
    name_claim: str
    email_claim: str
    # Where the provider sends people back to; each provider has its own, against mix-ups.
    redirect_uri: str


def redirect_uri_of(alias: str) -> str:
    """Return the redirect URI to register at a provider."""
    return f"{settings().base_url}{PATH}/{alias}/callback"


def sealed_for() -> str:
    """Return the purpose that client secrets are encrypted for."""
    return f"{_TABLE.name}.client_secret"


def list_active() -> Sequence[Any]:
    """Return sys_id, name, alias, and issuer of the active providers, by name."""
    return _ACTIVE.all({})


def get_provider(alias: str, *, active_only: bool = True) -> Provider:
    """Return a provider by its alias. Raises `RecordNotFound` and `SealBroken`."""
    return _provider_of(_BY_ALIAS.first({"alias": alias}), active_only=active_only)


def find_provider(sys_id: str) -> Provider | None:
    """Return an active provider by its sys_id, or None, also if its secret cannot be decrypted."""
    try:
        return _provider_of(_BY_SYS_ID.first({"sys_id": sys_id}), active_only=True)
    except (RecordNotFound, SealBroken):
        return None


def hold_provider(provider: Provider) -> None:
    """Hold an active provider until the transaction ends. Raises `RecordNotFound` if it has ended, or is another one.

    What ends the sessions of a provider then waits for a session that begins, and ends it, too.
    """
    if _HELD.first({"sys_id": provider.sys_id, "issuer": provider.issuer}) is None:
        raise RecordNotFound


def _provider_of(row: Any, *, active_only: bool) -> Provider:
    if row is None or (active_only and not row.active):
        raise RecordNotFound
    fields = {name: getattr(row, name) for name in Provider.__dataclass_fields__ if name != "redirect_uri"}
    fields["redirect_uri"] = redirect_uri_of(row.alias)
    if row.client_secret:
        fields["client_secret"] = unseal(row.client_secret, purpose=sealed_for()).decode()
    return Provider(**fields)


_ACTIVE = Prepared(select(*_PUBLIC).where(_TABLE.c["active"]).order_by(_TABLE.c["name"]))
_BY_SYS_ID = Prepared(select(_TABLE).where(_TABLE.c["sys_id"] == parameter("sys_id")))
_IS_SAME = (_TABLE.c["sys_id"] == parameter("sys_id"), _TABLE.c["issuer"] == parameter("issuer"), _TABLE.c["active"])
# SQLite has no row locks; the option makes it take its write lock before it reads (database/engine.py).
_HELD = Prepared(
    select(_TABLE.c["sys_id"]).where(*_IS_SAME).with_for_update(read=True).execution_options(locks_rows=True)
)
_BY_ALIAS = Prepared(select(_TABLE).where(_TABLE.c["alias"] == parameter("alias")))
