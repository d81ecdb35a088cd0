"""OpenAPI paths and schemas of the Change Management API."""

from collections.abc import Iterator, Mapping
from typing import Any

from apispec import APISpec

from changegate.api.change.calls import CHANGE, MODEL, TASK, TASK_CI, TEMPLATE
from changegate.api.change.changes import CREATED_BY_TYPE, TYPES
from changegate.api.openapi.answers import JSON, answer, errors
from changegate.api.openapi.change_operations import (
    WRITES,
    Operation,
    create_record,
    delete_record,
    get_record,
    list_records,
    operation,
    update_record,
    written,
)
from changegate.api.openapi.change_schemas import CHANGE_SCHEMAS, list_of
from changegate.api.openapi.parameters import query_parameters
from changegate.api.openapi.records import result_of
from changegate.api.openapi.values import SYS_ID, JsonSchema, ref
from changegate.schemas.change_query import ChangeQuerySchema
from changegate.schemas.planning_input import ASSOCIATIONS
from changegate.schemas.windows_query import WindowsQuerySchema
from changegate.services.schedules.windows import WINDOWS_PATH

Item = dict[str, Operation]
PREFIX = "/api/sn_chg_rest/change"
_SLOT_PROPERTIES: Mapping[str, Any] = CHANGE_SCHEMAS["SlotInput"]["properties"]
TASK_ID: Operation = {
    "name": "task_sys_id",
    "in": "path",
    "required": True,
    "description": "The task.",
    "schema": {"type": "string", "pattern": SYS_ID},
}


def change_paths(spec: APISpec) -> Mapping[str, Item]:
    """Return the paths of the Change Management API."""
    listing = query_parameters(spec, ChangeQuerySchema())
    return {
        **dict(_paths_of_changes(listing)),
        **_paths_of_tasks(listing),
        **_paths_of_process(),
        **_paths_of_templates(listing),
        **_paths_of_items(listing),
        **_paths_of_conflicts(),
        **_paths_of_schedules(),
        WINDOWS_PATH: {"get": _windows(spec)},
        f"{PREFIX}/model": {"get": list_records(MODEL, "list_change_models", "List change models", listing)},
        f"{PREFIX}/model/{{sys_id}}": {"get": get_record(MODEL, "get_change_model", "Get a change model")},
    }


def _paths_of_changes(listing: list[Operation]) -> Iterator[tuple[str, Item]]:
    for kind in (None, *TYPES):
        path, name, kinds = PREFIX, "change", "changes"
        if kind:
            path, name, kinds = f"{PREFIX}/{kind}", f"{kind}_change", f"{kind} changes"
        one = f"a{'n' if name[0] in 'aeiou' else ''} {name.replace('_', ' ')}"
        collection = {"get": list_records(CHANGE, f"list_{name}s", f"List {kinds}", listing)}
        if kind is None or kind in CREATED_BY_TYPE:
            collection["post"] = create_record(CHANGE, f"create_{name}", f"Create {one}")
        yield path, collection
        record = {
            "get": get_record(CHANGE, f"get_{name}", f"Get {one}"),
            "patch": update_record(CHANGE, f"update_{name}", f"Change fields of {one}", ["sys_id"]),
            "delete": delete_record(f"delete_{name}", f"Delete {one}", ["sys_id"]),
        }
        if kind == "standard":
            record["post"] = _create_from_template()
        yield f"{path}/{{sys_id}}", record
        yield f"{path}/{{sys_id}}/risk", {"patch": _calculate_risk(f"calculate_risk_of_{name}", one)}


def _create_from_template() -> Operation:
    creation = create_record(CHANGE, "create_change_from_template", "Create a change from a standard change template")
    creation["parameters"] = ["sys_id", *creation["parameters"]]
    creation["description"] = (
        f"`sys_id` is that of the template. {WRITES} The description, the plans, and the read-only fields of the "
        "template are ignored."
    )
    return creation


def _calculate_risk(name: str, one: str) -> Operation:
    return operation(
        name,
        f"Calculate the risk of {one}",
        description="Replaces an explicit risk. Fields of the request are ignored.",
        parameters=["sys_id", "X-no-response-body", "If-Match"],
        responses={"200": written(), **errors(404, 406, 409, 412, 415)},
    )


def _paths_of_tasks(listing: list[Operation]) -> dict[str, Item]:
    path, ids = f"{PREFIX}/{{sys_id}}/task", ["sys_id", TASK_ID]
    creation = create_record(TASK, "create_task_of_change", "Create a task of a change")
    creation["parameters"] = ["sys_id", *creation["parameters"]]
    tasks = list_records(TASK, "list_tasks_of_change", "List the tasks of a change", ["sys_id", *listing])
    return {
        path: {"get": {**tasks, "responses": tasks["responses"] | errors(404, 406)}, "post": creation},
        f"{path}/{{task_sys_id}}": {
            "patch": update_record(TASK, "update_task_of_change", "Change fields of a task", ids),
            "delete": delete_record("delete_task_of_change", "Delete a task", ids),
        },
    }


def _paths_of_process() -> dict[str, Item]:
    path = f"{PREFIX}/{{sys_id}}"
    next_states = get_record(CHANGE, "get_next_states", "Get the next states of a change", ref("NextStates"))
    blockers = get_record(CHANGE, "get_blockers", "Get what a change waits for", list_of(ref("Blocker")))
    return {
        f"{path}/nextstates": {"get": next_states},
        f"{path}/blockers": {"get": blockers},
        f"{path}/approvals": {verb: _answer(f"answer_approvals_by_{verb}") for verb in ("patch", "post")},
    }


def _paths_of_templates(listing: list[Operation]) -> dict[str, Item]:
    path = f"{PREFIX}/standard/template"
    return {
        path: {"get": list_records(TEMPLATE, "list_change_templates", "List standard change templates", listing)},
        f"{path}/{{sys_id}}": {"get": get_record(TEMPLATE, "get_change_template", "Get a standard change template")},
    }


def _paths_of_items(listing: list[Operation]) -> dict[str, Item]:
    path = f"{PREFIX}/{{sys_id}}"
    association = {
        "name": "association_type",
        "in": "query",
        "required": True,
        "description": "Affected items, impacted services, or service offerings.",
        "schema": {"type": "string", "enum": [*ASSOCIATIONS]},
    }
    items = list_records(
        TASK_CI, "list_items_of_change", "List the items of a change", ["sys_id", association, *listing]
    )
    add = _worker("add_items_to_change", "Add items or services to a change", body=ref("ItemsInput"))
    refresh = _worker("refresh_impacted_services", "Find the impacted services of a change", status="200")
    return {
        f"{path}/ci": {"get": {**items, "responses": items["responses"] | errors(404, 406)}, "post": add},
        f"{path}/refresh_impacted_services": {"post": refresh},
    }


def _paths_of_conflicts() -> dict[str, Item]:
    check = operation(
        "check_conflicts",
        "Check the conflicts of a change",
        parameters=["sys_id"],
        responses={"200": answer("The sys_id of the worker.", result_of({"type": "string"})), **errors(404, 406)},
    )
    cancel = operation(
        "cancel_conflict_check",
        "Cancel the checks that are not done",
        parameters=["sys_id"],
        responses={"200": {"description": "No check is under way."}, **errors(404, 406)},
    )
    conflicts = get_record(CHANGE, "get_conflicts", "Get the conflicts of a change", ref("Conflicts"))
    return {f"{PREFIX}/{{sys_id}}/conflict": {"get": conflicts, "post": check, "delete": cancel}}


def _paths_of_schedules() -> dict[str, Item]:
    path = f"{PREFIX}/{{sys_id}}/schedule"
    properties = _SLOT_PROPERTIES.items()
    times = [
        {"name": name, "in": "query", "schema": schema, "description": schema["description"]}
        for name, schema in properties
    ]
    slot = _worker("plan_first_available", "Plan a change for the first free time", body=ref("SlotInput"))
    of_item = _worker("find_times_of_item", "Find the free times of an item", times)
    worker = get_record("chg_mgt_worker", "get_worker", "Get a worker", ref("Worker"))
    return {
        path: {"get": _worker("find_times_of_change", "Find the free times of a change", times)},
        f"{PREFIX}/ci/{{sys_id}}/schedule": {"get": of_item},
        f"{path}/first_available": {"patch": {**slot, "responses": slot["responses"] | errors(409)}},
        f"{PREFIX}/worker/{{sys_id}}": {"get": worker},
    }


def _worker(
    name: str, summary: str, parameters: list[Any] | None = None, *, body: JsonSchema | None = None, status: str = "202"
) -> Operation:
    """Return an operation that starts a worker."""
    content = {} if body is None else {"requestBody": {"content": {JSON: {"schema": body}}}}
    codes = (404, 406) if body is None else (404, 406, 415)
    return operation(
        name,
        summary,
        parameters=["sys_id", *(parameters or ())],
        **content,
        responses={status: answer("The worker.", result_of(ref("Worker"))), **errors(*codes)},
    )


def _windows(spec: APISpec) -> Operation:
    return operation(
        "get_windows",
        "Get when changes of a configuration item are allowed",
        description="Freezes that cover only some types, groups, or changes are shown with these.",
        parameters=query_parameters(spec, WindowsQuerySchema()),
        responses={"200": answer("The windows.", result_of(ref("Windows"))), **errors(406)},
    )


def _answer(name: str) -> Operation:
    return operation(
        name,
        "Answer the approvals of a change that wait for the caller",
        description="PATCH and POST are equivalent. Approvers who may not read the change get only its outline.",
        parameters=["sys_id", "X-no-response-body"],
        requestBody={"content": {JSON: {"schema": ref("Answer"), "example": {"state": "approved"}}}},
        responses={"200": written(), **errors(404, 406, 409, 415)},
    )
