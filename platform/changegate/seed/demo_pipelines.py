"""Changes that pipelines have created in the days before the demo, each with the provenance of an exchange."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

from sqlalchemy import select

from changegate.database.packed import PackedJSON
from changegate.extensions import db, now
from changegate.models import OAuthEntity, SysUser
from changegate.seed.demo_changes import CLOSED, MARK, date_back, window
from changegate.services.access.caller import Caller, TokenOrigin
from changegate.services.access.permissions import Permissions, TokenGrant
from changegate.services.process.recording import record_move
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record

# The preset with whose claims the pipelines are described.
PRESET = "gitlab"
REPOSITORIES = ("shop/checkout", "shop/checkout", "shop/storefront", "shop/checkout", "platform/databases")
GROUPS = {"shop": "Web Platform", "platform": "Database"}
# A change follows each accepted exchange whose number is a multiple of this.
CHANGED_EVERY = 12
_packed = PackedJSON()


def name_deployments(exchanges: Sequence[dict[str, Any]]) -> list[tuple[Mapping[str, Any], str]]:
    """Return some of the accepted exchanges, each with its repository, whose pipeline becomes the subject."""
    accepted = [row for row in exchanges if row.get("is_accepted")]
    deployments = list(zip(accepted[::CHANGED_EVERY], cycle(REPOSITORIES), strict=False))
    for row, repository in deployments:
        row["subject"] = f"pipeline:{repository}:main"
    return [*deployments]


def seed_pipeline_changes(entity: OAuthEntity, deployments: Iterable[tuple[Mapping[str, Any], str]]) -> None:
    """Add a closed change after each of some exchanges of an integration, whose tokens act as one user."""
    user = db.session.execute(select(SysUser).filter_by(sys_id=entity.run_as)).scalar_one()
    for row, repository in deployments:
        claims = _packed.process_bind_param(_claims_of(repository), None)
        origin = TokenOrigin(entity.client_id, row["correlation_id"], PRESET, row["issuer"], row["subject"], claims)
        permissions = Permissions(frozenset({"admin"}), TokenGrant(entity.sys_id, row["scope"]))
        caller = Caller(user.sys_id, user.user_name, permissions, origin)
        change = create_record(get_table("change_request"), caller, _deployment(repository, row["happened_at"]))
        hours = (now() - row["happened_at"]) // timedelta(hours=1)
        # Tokens create changes in state New only.
        closed = {"state": 3, "active": False, "closed_at": now() - timedelta(hours=hours - 1), **CLOSED}
        record_move(change, {**change, **closed}, caller, None)
        date_back(change["sys_id"], hours=hours, is_closed=True, **closed)


def _claims_of(repository: str) -> dict[str, str]:
    return {
        "project_path": repository,
        "ref": "main",
        "user_login": "tom.okafor",
        "ci_config_ref_uri": f"gitlab.example.com/{repository}//.gitlab-ci.yml@refs/heads/main",
    }


def _deployment(repository: str, at: datetime) -> dict[str, Any]:
    area, _, name = repository.partition("/")
    return {
        "short_description": f"Deploy {name}",
        "category": "Software",
        "assignment_group": GROUPS[area],
        "type": "normal",
        "correlation_display": MARK,
        **window(at),
    }
