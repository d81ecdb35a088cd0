"""The numbers of the overview page (docs/reference/inbound-integrations.md#console)."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from changegate.services.hygiene.assessment import Assessment, assess_reading
from changegate.services.hygiene.authentication_methods import AuthenticationMethod, count_methods
from changegate.services.hygiene.history import History, exchanges_by_day, exchanges_by_hour
from changegate.services.hygiene.identities import MachineIdentity, identities_of
from changegate.services.hygiene.log_reading import UseOfToken
from changegate.services.hygiene.provider_knowledge import ProviderKnowledge
from changegate.services.hygiene.reading import read_all

# Tiles of ServiceNow's overview that Changegate cannot fill, because API calls are not recorded.
NOT_RECORDED = ("unique_api_calls", "basic_authentication")


@dataclass(frozen=True, slots=True)
class Overview:
    """The content of the overview page.

    `authentication_methods` are all ways to get a token, used or not. `tokens` is the number of tokens of the last 7
    days, also of integrations that have been deleted, and `tokens_by_algorithm` counts them by the algorithm of their
    assertion or ID token. `not_recorded` names the tiles of ServiceNow's overview that cannot be filled.
    """

    integrations: int
    active_integrations: int
    identities: list[MachineIdentity]
    authentication_methods: list[AuthenticationMethod]
    tokens: int
    tokens_by_algorithm: dict[str, int]
    hours: History
    days: History
    assessment: Assessment
    not_recorded: tuple[str, ...] = NOT_RECORDED

    @property
    def machine_accounts(self) -> int:
        """The number of accounts that automation acts as."""
        return len(self.identities)

    @property
    def privileged_machine_accounts(self) -> int:
        """The number of these accounts with a role that a machine account should not hold."""
        return sum(identity.is_privileged for identity in self.identities)


def get_overview(at: datetime, known: ProviderKnowledge) -> Overview:
    """Return the overview; `known` is the presets' knowledge of providers."""
    reading = read_all(at)
    return Overview(
        integrations=len(reading.integrations),
        active_integrations=sum(row.active for row in reading.integrations),
        identities=identities_of(reading),
        authentication_methods=count_methods(reading.integrations, reading.uses, at),
        tokens=sum(use.lately for use in reading.uses),
        tokens_by_algorithm=_by_algorithm(reading.uses),
        hours=exchanges_by_hour(at),
        days=exchanges_by_day(at),
        assessment=assess_reading(reading, at, known),
    )


def _by_algorithm(uses: Iterable[UseOfToken]) -> dict[str, int]:
    counted = Counter[str]()
    for use in uses:
        if use.algorithm and use.lately:
            counted[use.algorithm] += use.lately
    return dict(counted.most_common())
