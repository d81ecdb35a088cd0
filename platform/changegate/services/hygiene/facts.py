"""The facts about integrations and their accounts, as the checks receive them."""

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
    """The properties of a user that the checks need; `roles` includes contained roles."""

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
        """Whether tokens and logins of the user work."""
        return self.active and not self.locked_out

    @property
    def privileges(self) -> tuple[str, ...]:
        """The roles that a machine account should not hold, highest first."""
        return privileges_among(self.roles)


@dataclass(frozen=True, slots=True)
class Use:
    """The use of an integration, as far as the log goes back.

    `exchanges` is the number of accepted exchanges of the last 14 days, and `would_refuse` the number of those that
    failed a report-only condition. `latest` is the correlation ID of the latest accepted exchange.
    """

    latest: str | None = None
    exchanges: int = 0
    would_refuse: int = 0


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """An integration's keys: rows of the key cache, of the timeline, of its alerts, and of certificates."""

    cache: Row | None = None
    published: Sequence[Row] = ()
    alerts: Sequence[Row] = ()
    certificates: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """The effect of an integration's claim conditions.

    `idle` are the claims whose enforced conditions accept everything; `is_bound` is True if any other condition is
    enforced; `reporting` are the claims of report-only conditions. `faults` are sentences from the provider knowledge,
    `warnings` sentences from the linter.
    """

    is_bound: bool = False
    idle: tuple[str, ...] = ()
    reporting: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IntegrationFacts:
    """The facts about an active integration; `row` has the columns of its record.

    `neighbours` are the names of other active integrations with the same issuer, and `rivals` of those that accept the
    same assertions. `late_claims` are the claims of its latest exchange, read only if a check needs them.
    `is_password_grant_on` is the setting of the instance. `is_saved_by_administrator` is also True for integrations
    that the command line saved. `mistakes` are values that cannot work, each with its field, what is wrong, and the
    remedy. `open_trust` is the fault of having no condition, for a known provider, and `audience_fault` that of an
    audience that the provider cannot issue; both are pairs of what is wrong and the remedy.
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
    mistakes: Sequence[tuple[str, str, str]] = ()
    open_trust: tuple[str, str] | None = None
    audience_fault: tuple[str, str] | None = None

    @property
    def subject(self) -> Subject:
        """The subject that findings about it name."""
        return Subject(INTEGRATION, self.row.client_id, self.row.name, f"integrations/{self.row.client_id}")


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """The facts about an account that automation acts as.

    `integrations` are the rows of the active integrations whose tokens act as it, or recently did. `is_machine` is True
    if an integration runs as it or it cannot sign in; otherwise it may be a person that tokens are mapped to.
    `last_used_at` is the latest known use of one of its tokens.
    """

    account: Account
    integrations: Sequence[Row] = ()
    is_machine: bool = True
    last_used_at: datetime | None = None

    @property
    def subject(self) -> Subject:
        """The subject that findings about it name."""
        name = self.account.user_name
        return Subject(ACCOUNT, name, self.account.name, f"identities/{quote(name, safe='')}")
