"""Machine identities: the users that automation acts as."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from changegate.services.hygiene.assembly import accounts_of
from changegate.services.hygiene.facts import Account, Row
from changegate.services.hygiene.log_reading import UseOfToken
from changegate.services.hygiene.reading import Reading


@dataclass(frozen=True, slots=True)
class MachineIdentity:
    """An account and its use.

    `integrations` are the active ones that run as it or whose tokens have acted as it. `last_exchange_at` covers
    the event log. `last_call_at` is the creation of the latest change by an integration that runs as it, or None
    without such a change; only changes permanently record which token made the call.
    """

    account: Account
    integrations: list[Row]
    is_machine: bool
    tokens: int
    last_exchange_at: datetime | None
    last_call_at: datetime | None

    @property
    def is_privileged(self) -> bool:
        """Whether the account has a role that a machine account should not hold."""
        return bool(self.account.privileges)


def identities_of(reading: Reading) -> list[MachineIdentity]:
    """Return the machine identities in the rows that were read, by user name."""
    identities = [
        MachineIdentity(
            account=facts.account,
            integrations=list(facts.integrations),
            is_machine=facts.is_machine,
            tokens=sum(use.lately for use in _uses(reading.uses, facts.account)),
            last_exchange_at=max((use.latest_at for use in _uses(reading.uses, facts.account)), default=None),
            last_call_at=_last_call(reading.integrations, facts.account),
        )
        for facts in accounts_of(reading)
    ]
    return sorted(identities, key=lambda identity: identity.account.user_name.lower())


def _uses(uses: Iterable[UseOfToken], account: Account) -> list[UseOfToken]:
    return [use for use in uses if use.user == account.sys_id]


def _last_call(integrations: Iterable[Row], account: Account) -> datetime | None:
    created = [row.last_created_at for row in integrations if row.run_as == account.sys_id]
    return max((at for at in created if at is not None), default=None)
