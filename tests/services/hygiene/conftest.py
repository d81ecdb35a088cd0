"""A desk with one integration that there is nothing to say against, and the findings as they are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from changegate.extensions import db
from changegate.schemas import presets
from changegate.services.hygiene.assessment import Assessment, assess
from changegate.services.hygiene.finding import Finding
from tests.conftest import Clock
from tests.support.token_desk import AUDIENCE, Integration, TokenDesk

KNOWN = presets
CONDITION = {
    "claim": "project",
    "operator": "equals",
    "value_type": "string",
    "value": "shop",
    "report_only": False,
}


@dataclass
class HygieneDesk:
    """A desk, an integration in good order, and what the checks say."""

    desk: TokenDesk
    integration: Integration
    clock: Clock
    audiences: dict[str, str] = field(default_factory=dict)

    def assess(self, **later: float) -> Assessment:
        """Run every check, now or some time later."""
        db.session.rollback()
        return assess(self.clock() + timedelta(**later), KNOWN)

    def found(self, code: str, **later: float) -> list[Finding]:
        """Return the findings of one code."""
        return [one for one in self.assess(**later).findings if one.code == code]

    def codes(self, **later: float) -> set[str]:
        """Return the codes of all findings."""
        return {one.code for one in self.assess(**later).findings}

    def set(self, **columns: Any) -> None:
        """Write columns of the integration."""
        self.desk.set(self.integration, **columns)

    def exchange(self, integration: Integration | None = None, **claims: Any) -> str:
        """Exchange an assertion that the condition is met by."""
        chosen = integration or self.integration
        addressed = {"aud": self.audiences.get(chosen.sys_id, AUDIENCE)}
        assertion = self.desk.assertion(**{"project": "shop", **addressed, **claims})
        return self.desk.token(chosen, assertion=assertion)

    def register(self, name: str, **changes: Any) -> Integration:
        """Register another integration that is cared for as well as the first."""
        audience = AUDIENCE if name == "Pipeline" else f"{AUDIENCE}/{name}"
        fields = {**self.cared_for(), "claim_conditions": [CONDITION], "audiences": [audience]}
        made = self.desk.register(name, **(fields | changes))
        self.audiences[made.sys_id] = audience
        return made

    def cared_for(self) -> dict[str, Any]:
        """Return the fields of an integration with an owner."""
        return {"owner": "admin", "review_date": f"{(self.clock() + timedelta(days=300)).date()}"}


@pytest.fixture
def hygiene(desk: TokenDesk, clock: Clock) -> HygieneDesk:
    """Give a desk in good order, whose integration has been used once."""
    opened = HygieneDesk(desk, Integration("", "", None), clock)
    opened.integration = opened.register("Pipeline")
    opened.exchange()
    return opened


@pytest.fixture
def either_hygiene(either_desk: TokenDesk) -> Iterator[HygieneDesk]:
    """Give a desk on SQLite, then one on PostgreSQL."""
    clock = Clock()
    either_desk.app.config["CLOCK"] = clock
    with either_desk.app.app_context():
        opened = HygieneDesk(either_desk, Integration("", "", None), clock)
        opened.integration = opened.register("Pipeline")
        opened.exchange()
        yield opened
        db.session.remove()
