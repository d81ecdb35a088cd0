"""The numbers of the overview (oauth_jwt.md §1.2), as far as they are known."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from changegate.models.oauth_entity import ID_TOKEN
from changegate.services.hygiene.assessment import Assessment, assess_reading
from changegate.services.hygiene.facts import Row
from changegate.services.hygiene.history import History, exchanges_by_day, exchanges_by_hour
from changegate.services.hygiene.identities import MachineIdentity, identities_of
from changegate.services.hygiene.log_reading import UseOfToken
from changegate.services.hygiene.provider_knowledge import NOTHING_KNOWN, ProviderKnowledge
from changegate.services.hygiene.reading import read_all

# Of an integration as it is registered now: which of the proofs a request brought is not kept.
PUBLIC, CONFIDENTIAL = "public_client", "client_credentials"
# What ServiceNow's tiles count and nothing here records: calls by token or by password are not kept.
NOT_RECORDED = ("unique_api_calls", "basic_authentication")


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page shows.

    `tokens_by_client` and `tokens_by_algorithm` count the tokens of the last 7 days: by whether their client is public
    or proves who it is (by its secret, or an assertion of its own), and by the algorithm that the assertion was signed
    with. `not_recorded` names tiles of ServiceNow's that nothing here could fill.
    """

    integrations: int
    active_integrations: int
    identities: list[MachineIdentity]
    tokens_by_client: dict[str, int]
    tokens_by_algorithm: dict[str, int]
    hours: History
    days: History
    assessment: Assessment
    not_recorded: tuple[str, ...] = NOT_RECORDED

    @property
    def machine_accounts(self) -> int:
        """Return how many accounts automation acts as."""
        return len(self.identities)

    @property
    def privileged_machine_accounts(self) -> int:
        """Return how many of them hold a role that a machine should not hold."""
        return sum(identity.is_privileged for identity in self.identities)

    @property
    def tokens(self) -> int:
        """Return how many tokens were issued in the last 7 days."""
        return sum(self.tokens_by_client.values())


def get_overview(at: datetime, known: ProviderKnowledge = NOTHING_KNOWN) -> Overview:
    """Return the overview; `known` is what the presets know of providers."""
    reading = read_all(at)
    return Overview(
        integrations=len(reading.integrations),
        active_integrations=sum(row.active for row in reading.integrations),
        identities=identities_of(reading),
        tokens_by_client=_by_client(reading.integrations, reading.uses),
        tokens_by_algorithm=_by_algorithm(reading.uses),
        hours=exchanges_by_hour(at),
        days=exchanges_by_day(at),
        assessment=assess_reading(reading, at, known),
    )


def _by_client(integrations: Iterable[Row], uses: Iterable[UseOfToken]) -> dict[str, int]:
    # Nobody but the provider proves anything with an ID token.
    public = {row.sys_id for row in integrations if row.public_client or row.type == ID_TOKEN}
    counted = {PUBLIC: 0, CONFIDENTIAL: 0}
    for use in uses:
        counted[PUBLIC if use.entity in public else CONFIDENTIAL] += use.lately
    return counted


def _by_algorithm(uses: Iterable[UseOfToken]) -> dict[str, int]:
    counted = Counter[str]()
    for use in uses:
        if use.algorithm and use.lately:
            counted[use.algorithm] += use.lately
    return dict(counted.most_common())
