"""OpenAPI paths and schemas of the Change Management API."""

from collections.abc import Iterator, Mapping
from typing import Any

from apispec import APISpec

from changegate.api.change.calls import CHANGE, MODEL, TASK, TASK_CI, TEMPLATE
from changegate.api.change.changes import CREATED_BY_TYPE, TYPES
from changegate.api.openapi.answers import ETAG, JSON, XML, answer, errors
from changegate.api.openapi.change_schemas import CHANGE_SCHEMAS, list_of
from changegate.api.openapi.parameters import query_parameters
from changegate.api.openapi.records import creation_name, example_of, input_name, result_of
from changegate.api.openapi.tables import AS_XML, TOTAL
from changegate.api.openapi.values import SYS_ID, JsonSchema, ref
from changegate.schemas.change_query import ENCRYPTED_FIELDS, ChangeQuerySchema
from changegate.schemas.planning_input import ASSOCIATIONS
from changegate.schemas.windows_query import WindowsQuerySchema
from changegate.services.schedules.windows import WINDOWS_PATH
from changegate.services.tables.registry import Table, get_table

Operation = dict[str, Any]
Item = dict[str, Operation]
TAG = "Change Management"
PREFIX = "/api/sn_chg_rest/change"
ENCRYPTED: Operation = {
    "name": ENCRYPTED_FIELDS,
    "in": "query",
    "description": "Accepted and without effect: names and labels are accepted for every field.",
    "schema": {"type": "string"},
}
_SLOT_PROPERTIES: Mapping[str, Any] = CHANGE_SCHEMAS["SlotInput"]["properties"]
WRITES = "Fields may also be sent as parameters; those of the body take precedence. Choices may be sent as labels."
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
        f"{PREFIX}/model": {"get": _list(MODEL, "list_change_models", "List change models", listing)},
        f"{PREFIX}/model/{{sys_id}}": {"get": _get(MODEL, "get_change_model", "Get a change model")},
    }


def _paths_of_changes(listing: list[Operation]) -> Iterator[tuple[str, Item]]:
    for kind in (None, *TYPES):
        path, name, kinds = PREFIX, "change", "changes"
        if kind:
            path, name, kinds = f"{PREFIX}/{kind}", f"{kind}_change", f"{kind} changes"
        one = f"a{'n' if name[0] in 'aeiou' else ''} {name.replace('_', ' ')}"
        collection = {"get": _list(CHANGE, f"list_{name}s", f"List {kinds}", listing)}
        if kind is None or kind in CREATED_BY_TYPE:
            collection["post"] = _create(CHANGE, f"create_{name}", f"Create {one}")
        yield path, collection
        record = {
            "get": _get(CHANGE, f"get_{name}", f"Get {one}"),
            "patch": _update(CHANGE, f"update_{name}", f"Change fields of {one}", ["sys_id"]),
            "delete": _delete(f"delete_{name}", f"Delete {one}", ["sys_id"]),
        }
        if kind == "standard":
            record["post"] = _create_from_template()
        yield f"{path}/{{sys_id}}", record
        yield f"{path}/{{sys_id}}/risk", {"patch": _calculate_risk(f"calculate_risk_of_{name}", one)}


def _create_from_template() -> Operation:
    creation = _create(CHANGE, "create_change_from_template", "Create a change from a standard change template")
    creation["parameters"] = ["sys_id", *creation["parameters"]]
    creation["description"] = (
        f"`sys_id` is that of the template. {WRITES} The description, the plans, and the read-only fields of the "
        "template are ignored."
    )
    return creation


def _calculate_risk(name: str, one: str) -> Operation:
    return _operation(
        name,
        f"Calculate the risk of {one}",
        description="Replaces an explicit risk. Fields of the request are ignored.",
        parameters=["sys_id", "X-no-response-body", "If-Match"],
        responses={"200": _written(), **errors(404, 406, 409, 412, 415)},
    )


def _paths_of_tasks(listing: list[Operation]) -> dict[str, Item]:
    path, ids = f"{PREFIX}/{{sys_id}}/task", ["sys_id", TASK_ID]
    creation = _create(TASK, "create_task_of_change", "Create a task of a change")
    creation["parameters"] = ["sys_id", *creation["parameters"]]
    tasks = _list(TASK, "list_tasks_of_change", "List the tasks of a change", ["sys_id", *listing])
    return {
        path: {"get": {**tasks, "responses": tasks["responses"] | errors(404, 406)}, "post": creation},
        f"{path}/{{task_sys_id}}": {
            "patch": _update(TASK, "update_task_of_change", "Change fields of a task", ids),
            "delete": _delete("delete_task_of_change", "Delete a task", ids),
        },
    }


def _paths_of_process() -> dict[str, Item]:
    path = f"{PREFIX}/{{sys_id}}"
    next_states = _get(CHANGE, "get_next_states", "Get the next states of a change", ref("NextStates"))
    blockers = _get(CHANGE, "get_blockers", "Get what a change waits for", list_of(ref("Blocker")))
    return {
        f"{path}/nextstates": {"get": next_states},
        f"{path}/blockers": {"get": blockers},
        f"{path}/approvals": {verb: _answer(f"answer_approvals_by_{verb}") for verb in ("patch", "post")},
    }


def _paths_of_templates(listing: list[Operation]) -> dict[str, Item]:
    path = f"{PREFIX}/standard/template"
    return {
        path: {"get": _list(TEMPLATE, "list_change_templates", "List standard change templates", listing)},
        f"{path}/{{sys_id}}": {"get": _get(TEMPLATE, "get_change_template", "Get a standard change template")},
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
    items = _list(TASK_CI, "list_items_of_change", "List the items of a change", ["sys_id", association, *listing])
    add = _worker("add_items_to_change", "Add items or services to a change", body=ref("ItemsInput"))
    refresh = _worker("refresh_impacted_services", "Find the impacted services of a change", status="200")
    return {
        f"{path}/ci": {"get": {**items, "responses": items["responses"] | errors(404, 406)}, "post": add},
        f"{path}/refresh_impacted_services": {"post": refresh},
    }


def _paths_of_conflicts() -> dict[str, Item]:
    check = _operation(
        "check_conflicts",
        "Check the conflicts of a change",
        parameters=["sys_id"],
        responses={"200": answer("The sys_id of the worker.", result_of({"type": "string"})), **errors(404, 406)},
    )
    cancel = _operation(
        "cancel_conflict_check",
        "Cancel the checks that are not done",
        parameters=["sys_id"],
        responses={"200": {"description": "No check is under way."}, **errors(404, 406)},
    )
    conflicts = _get(CHANGE, "get_conflicts", "Get the conflicts of a change", ref("Conflicts"))
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
    worker = _get("chg_mgt_worker", "get_worker", "Get a worker", ref("Worker"))
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
    return _operation(
        name,
        summary,
        parameters=["sys_id", *(parameters or ())],
        **content,
        responses={status: answer("The worker.", result_of(ref("Worker"))), **errors(*codes)},
    )


def _windows(spec: APISpec) -> Operation:
    return _operation(
        "get_windows",
        "Get when changes of a configuration item are allowed",
        description="Freezes that cover only some types, groups, or changes are shown with these.",
        parameters=query_parameters(spec, WindowsQuerySchema()),
        responses={"200": answer("The windows.", result_of(ref("Windows"))), **errors(406)},
    )


def _answer(name: str) -> Operation:
    return _operation(
        name,
        "Answer the approvals of a change that wait for the caller",
        description="PATCH and POST are equivalent. Approvers who may not read the change get only its outline.",
        parameters=["sys_id", "X-no-response-body"],
        requestBody={"content": {JSON: {"schema": ref("Answer"), "example": {"state": "approved"}}}},
        responses={"200": _written(), **errors(404, 406, 409, 415)},
    )


def _operation(name: str, summary: str, **rest: Any) -> Operation:
    return {"tags": [TAG], "operationId": name, "summary": summary, **rest}


def _list(table: str, name: str, summary: str, parameters: list[Any]) -> Operation:
    rows: JsonSchema = {"type": "array", "items": {"anyOf": [ref("TypedRecord"), ref("QueryReport")]}}
    return _operation(
        name,
        summary,
        description=f"Any other parameter is a condition on a field of `{table}`.",
        parameters=parameters,
        responses={"200": answer("A page of records.", result_of(rows), TOTAL), **errors(406)},
    )


def _get(table: str, name: str, summary: str, about: JsonSchema | None = None) -> Operation:
    """Return the operation that gets a record, or something else `about` it, which has no version."""
    record = answer("The record.", result_of(ref("TypedRecord")), ETAG)
    return _operation(
        name,
        summary,
        description=f"A record of `{table}`.",
        parameters=["sys_id"],
        responses={
            "200": record if about is None else answer("As the record is now.", result_of(about)),
            **errors(404, 406),
        },
    )


def _create(table_name: str, name: str, summary: str) -> Operation:
    table = get_table(table_name)
    return _operation(
        name,
        summary,
        description=WRITES,
        parameters=[ENCRYPTED, "X-no-response-body", "Idempotency-Key"],
        requestBody=_body(creation_name(table), table, is_new=True),
        responses={"200": _written(), **errors(404, 406, 409, 415)},
    )


def _update(table_name: str, name: str, summary: str, ids: list[Any]) -> Operation:
    table = get_table(table_name)
    return _operation(
        name,
        summary,
        description=WRITES,
        parameters=[*ids, ENCRYPTED, "X-no-response-body", "If-Match"],
        requestBody=_body(input_name(table), table, is_new=False),
        responses={"200": _written(), **errors(404, 406, 409, 412, 415)},
    )


def _delete(name: str, summary: str, ids: list[Any]) -> Operation:
    return _operation(
        name,
        summary,
        parameters=[*ids, "X-no-response-body", "If-Match"],
        responses={
            "200": answer("The record as it was.", result_of(ref("TypedRecord"))),
            **errors(404, 406, 412),
        },
    )


def _written() -> dict[str, Any]:
    return answer("The record as it is now.", result_of(ref("WrittenRecord")), ETAG)


def _body(schema: str, table: Table, *, is_new: bool) -> dict[str, Any]:
    example = example_of(table, is_new=is_new)
    return {
        "description": "A flat object. Of a list, only the first item is read; an empty body is an empty object.",
        "content": {
            JSON: {"schema": ref(schema), "example": example},
            XML: {"schema": {**ref(schema), **AS_XML}, "example": example},
        },
    }
