"""The paths of all pages of the console, from the routes."""

from collections.abc import Iterator

from flask import Flask

from changegate.models.chg_model import MODELS_OF_TYPES
from tests.console.example_records import Examples
from tests.guards.audiences import AUDIENCES, MACHINES, Audience, list_endpoints

# Answers without a page of their own: files, fragments, and redirects.
NOT_PAGES = {
    "/<served_table:name>.do",
    "/<served_table:name>_list.do",
    "/calendar/feeds/<token>.ics",
    "/change-requests/<sys_id>/files/<attachment_id>",
    "/inbound-integrations/<client_id>/run/status",
    "/inbound-integrations/by-sys-id/<sys_id>",
    "/nav_to.do",
    "/records/<table_name>/export/<file_format>",
    "/records/<table_name>/suggestions",
    "/rest-api-explorer/openapi.json",
    "/static/<filename>",
}
PUBLIC = {Audience.ANYONE}
OTHERS = {Audience.PEOPLE, Audience.INTEGRATION_ADMINISTRATORS, Audience.INTEGRATION_OWNERS}
# What the routes alone do not lead to.
MORE_PAGES = (
    *(
        f"/change-requests/<change_requests.sys_id>?tab={tab}"
        for tab in ("approvals", "tasks", "items", "files", "activity")
    ),
    "/change-requests?sysparm_query=stateIN-5,-4^short_descriptionLIKEa",
    "/calendar?view=week",
    "/records/change_task",
    "/records/sysapproval_approver",
    "/records/cmdb_ci",
    "/records/cmn_schedule_blackout/new",
    "/records/sys_user_group/<group_id>?assigned=sys_user_grmember&name=Reader",
    "/records/std_change_record_producer",
    "/records/sys_user_group/<group_id>?tab=related",
    "/records/sys_user_group/<group_id>?tab=history",
    f"/records/chg_model/{MODELS_OF_TYPES['normal']}",
    "/inbound-integrations/new/jwt-bearer",
    "/inbound-integrations/new/jwt-bearer/form",
    "/nowhere",
)


def paths_of(app: Flask, examples: Examples, audiences: set[Audience]) -> Iterator[str]:
    """Yield the paths of the pages of some audiences."""
    for each in list_endpoints(app):
        is_page = each.method == "GET" and each.rule not in NOT_PAGES and not each.rule.startswith(MACHINES)
        if is_page and AUDIENCES[each.name] in audiences:
            yield examples.fill(each.rule, each.blueprint)
