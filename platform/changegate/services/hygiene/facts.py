"""What is known of integrations and of the accounts that act for them, as the checks are given it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from changegate.services.hygiene.finding import ACCOUNT, INTEGRATION, Subject
from changegate.services.hygiene.privileges import privileges_among

Row = Any  # a row of a statement, by column name


@dataclass(frozen=True, slots=True)
class Account:
    """A user as far as it matters here; `roles` with those that they contain."""

    sys_id: str
    user_name: str
    name: str
    active: bool
    locked_out: bool
    web_service_access_only: bool
    has_password: bool
    roles: frozenset[str]

    @property
    def is_active(self) -> bool:
        """Tell whether anybody may act as the user."""
        return self.active and not self.locked_out

    @property
    def privileges(self) -> tuple[str, ...]:
        """Return the roles that a machine should not hold, the highest first."""
        return privileges_among(self.roles)


@dataclass(frozen=True, slots=True)
class Use:
    """How an integration was used, as far as the log goes back.

    `exchanges` and `would_refuse` count accepted exchanges of the last 14 days, and those among them that a
    condition which only reports was not met by. `latest` is the correlation id of the latest accepted one.
    """

    latest: str | None = None
    exchanges: int = 0
    would_refuse: int = 0


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What is known of an integration's keys: rows of the cache, the timeline, its alerts, and dated certificates."""

    cache: Row | None = None
    published: Sequence[Row] = ()
    alerts: Sequence[Row] = ()
    certificates: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """What the claim conditions of an integration come to.

    `idle` are the claims whose enforced conditions admit everything, `is_bound` tells whether another one is
    enforced. `faults` and `warnings` are sentences of those who know the provider and of the linter.
    """

    is_bound: bool = False
    idle: tuple[str, ...] = ()
    reporting: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IntegrationFacts:
    """An active integration; `row` has the columns of its record.

    `neighbours` are the names of other active integrations with the same issuer, `late_claims` what the assertion of
    its latest exchange claimed where that is of interest. `is_password_grant_on` is the desk's setting.
    `rivals` are the names of other active integrations that accept the same assertions. `is_saved_by_administrator` is
    also true of what the command line saved.
    """

    row: Row
    binding: Binding = field(default_factory=Binding)
    use: Use = field(default_factory=Use)
    keys: KeyFacts = field(default_factory=KeyFacts)
    run_as: Account | None = None
    owner: Account | None = None
    last_used_at: datetime | None = None
    neighbours: tuple[str, ...] = ()
    late_claims: Mapping[str, Any] | None = None
    is_password_grant_on: bool = False
    rivals: tuple[str, ...] = ()
    is_saved_by_administrator: bool = True

    @property
    def subject(self) -> Subject:
        """Return what findings say they are about."""
        return Subject(INTEGRATION, self.row.client_id, self.row.name, f"integrations/{self.row.client_id}")


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account that automation acts as.

    `integrations` are the rows of the active integrations whose tokens act as it, or have lately. `is_machine` tells
    whether it is for machines alone: an integration runs as it, or it may not sign in; else it may be a person that
    tokens are mapped to. `last_used_at` is the latest that is known of a token of it.
    """

    account: Account
    integrations: Sequence[Row] = ()
    is_machine: bool = True
    last_used_at: datetime | None = None

    @property
    def subject(self) -> Subject:
        """Return what findings say they are about."""
        name = self.account.user_name
        return Subject(ACCOUNT, name, self.account.name, f"identities/{quote(name, safe='')}")
