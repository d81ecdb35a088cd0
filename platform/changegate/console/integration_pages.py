"""The two pages that hold the integration form, with all that stands around it."""

from flask import render_template

from changegate.console.guards import caller
from changegate.console.integration_form import IntegrationForm
from changegate.console.key_set_report import KeySetReport
from changegate.extensions import db, settings
from changegate.models import OAuthEntity, SysUser
from changegate.models.oauth_entity import USER_FIELDS
from changegate.schemas.integration import ALGORITHMS
from changegate.services.oauth.events import list_events
from changegate.services.oauth.integrations import list_scopes
from changegate.services.tables.catalog import get_table
from changegate.services.tables.encoded_query import Condition, EncodedQuery, Order
from changegate.services.tables.reading import read_page
from changegate.services.tables.shapes import Shape

SUGGESTED_USERS = 500
SHOWN_EVENTS = 20


def render_new_page(form: IntegrationForm, key_set: KeySetReport | None = None) -> str:
    """Render the form of a new integration."""
    return render_template("console/integration_new.html", form=form, key_set=key_set, **_choices())


def render_record_page(
    entity: OAuthEntity, form: IntegrationForm | None = None, key_set: KeySetReport | None = None
) -> str:
    """Render a registered integration: as stored, or with a form as typed."""
    run_as = db.session.get(SysUser, entity.run_as) if entity.run_as else None
    return render_template(
        "console/integration_record.html",
        entity=entity,
        form=form or IntegrationForm.of_entity(entity, run_as),
        key_set=key_set,
        events=list_events(entity.sys_id, SHOWN_EVENTS),
        base_url=settings().base_url,
        **_choices(),
    )


def _choices() -> dict[str, object]:
    return {
        "users": _list_users(),
        "scopes": list_scopes(),
        "algorithms": ALGORITHMS,
        "user_fields": USER_FIELDS,
    }


def _list_users() -> list[tuple[str, str]]:
    """Return (user name, name) of active users to suggest; any other user name can be typed."""
    query = EncodedQuery((((Condition("active", "=", "true"),),),), (Order("name"),))
    table = get_table("sys_user")
    shape = Shape(settings().base_url, fields=("user_name", "name"))
    page = read_page(table, caller(), query, shape, limit=SUGGESTED_USERS, offset=0)
    return [(user["user_name"], user["name"]) for user in page.records]
