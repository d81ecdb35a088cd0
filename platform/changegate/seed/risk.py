"""The ranges of the risk assessment's score."""

from changegate.extensions import db
from changegate.models import RiskCondition
from changegate.services.tables.dictionary import sys_id_of

# Name, condition, and risk, in their order: from 0 to 25, to 50, and above.
RANGES = (
    ("Assessment: Low", "risk_assessment<=25", 4),
    ("Assessment: Moderate", "risk_assessment<=50", 3),
    ("Assessment: High", "risk_assessment>50", 2),
)


def seed_risk_ranges() -> None:
    """Add the ranges that are missing; existing ones are not changed."""
    for at, (name, condition, risk) in enumerate(RANGES):
        sys_id = sys_id_of("risk_conditions", name)
        if db.session.get(RiskCondition, sys_id) is None:
            row = RiskCondition(sys_id=sys_id, name=name, order=1000 + at, condition=condition, risk=risk)
            row.assessment = True
            db.session.add(row)
    db.session.flush()
