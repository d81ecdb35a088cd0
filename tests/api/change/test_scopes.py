"""What a token may do over the Change Management API: scopes, own records, and writable fields hold on each path."""

from typing import Any

import pytest
from sqlalchemy import update

from changegate.extensions import db
from changegate.models import ChangeTask
from tests.support.change_api import PREFIX, ChangeApi
from tests.support.scope_desk import put_scope
from tests.support.table_api import result_of
from tests.support.token_desk import CHANGES, Integration, TokenDesk

MISSING = "Missing required api access scope"
OWN = ("GET", "POST", "PATCH", "DELETE")
V1 = PREFIX.replace("sn_chg_rest/", "sn_chg_rest/v1/")


def caller(desk: TokenDesk, integration: Integration, prefix: str = PREFIX) -> ChangeApi:
    return ChangeApi(desk.client, {"Authorization": f"Bearer {desk.token(integration)}"}, prefix)


def with_rules(desk: TokenDesk, *rules: str, **changes: Any) -> ChangeApi:
    put_scope(desk, "ours", *rules)
    return caller(desk, desk.register("Ours", scopes=["ours"], **changes))


def paths_of(change: str, task: str) -> list[tuple[str, str, dict[str, Any] | None]]:
    """Return every call about one change."""
    return [
        ("GET", f"/{change}", None),
        ("GET", f"/normal/{change}", None),
        ("PATCH", f"/{change}", {"description": "x"}),
        ("PATCH", f"/normal/{change}", {"description": "x"}),
        ("GET", f"/{change}/task", None),
        ("POST", f"/{change}/task", {"short_description": "x"}),
        ("PATCH", f"/{change}/task/{task}", {"description": "x"}),
        ("DELETE", f"/{change}/task/{task}", None),
        ("DELETE", f"/normal/{change}", None),
        ("DELETE", f"/{change}", None),
    ]


@pytest.mark.parametrize("prefix", [PREFIX, V1])
def test_a_token_that_creates_changes_does_nothing_else(desk: TokenDesk, api: ChangeApi, prefix: str) -> None:
    token = caller(desk, desk.register(), prefix)
    change = token.new("/normal", short_description="x")
    task = api.new(f"/{change}/task")

    refused = [*paths_of(change, task), *(("GET", path, None) for path in ("", "/emergency", "/model"))]
    for method, path, body in refused:
        response = token.call(method, path, body)
        assert (response.status_code, response.get_json()["error"]["message"]) == (403, MISSING), (method, path)
    assert token.post("/emergency").status_code == 200


def test_the_built_in_scopes_cover_this_api(desk: TokenDesk, api: ChangeApi) -> None:
    other = api.new(short_description="theirs")
    names = ["change_request.create", "change_request.read_own", "change_request.update_own"]
    token = caller(desk, desk.register(scopes=names))
    own = token.new(short_description="mine")

    assert token.listed() == ["mine"] and token.get().headers["X-Total-Count"] == "1"
    assert [token.get(f"/{change}").status_code for change in (own, other)] == [200, 404]
    assert [token.patch(f"/{change}", {"description": "x"}).status_code for change in (own, other)] == [200, 404]
    reader = caller(desk, desk.register("Reader", scopes=["change_request.read"]))
    assert sorted(reader.listed("/normal")) == ["mine", "theirs"]
    assert reader.post().status_code == reader.patch(f"/{own}").status_code == 403


def test_a_missing_scope_is_named(desk: TokenDesk) -> None:
    token = caller(desk, desk.register(scopes=["change_request.create"]))
    detail = token.get().get_json()["error"]["detail"]
    assert detail == "This call needs the scope change_request.read or change_request.read_own"
    assert token.get("/model").get_json()["error"]["detail"] == "This call needs the scope useraccount"


def test_rules_of_the_table_api_do_not_open_this_one(desk: TokenDesk, api: ChangeApi) -> None:
    token = with_rules(desk, "* table *", "* stats *", "* attachment *")
    assert token.get().status_code == token.post().status_code == token.get(f"/{api.new()}").status_code == 403
    put_scope(desk, "its.own", "* change *")
    own = caller(desk, desk.register("Its own", scopes=["its.own"]))
    assert own.get().status_code == own.post().status_code == 200
    assert desk.call(own.headers["Authorization"].partition(" ")[2], "GET", CHANGES).status_code == 403


def test_a_token_limited_to_own_records_reaches_no_other_change_by_any_path(desk: TokenDesk, api: ChangeApi) -> None:
    manager = desk.add_user("release.manager", "change_manager")
    token = with_rules(desk, "* change change_request own", "* change change_task own", run_as="release.manager")
    foreign = api.new(short_description="theirs", requested_by=manager)
    own_task = id_of_task_under(desk, api, foreign, token)

    for method, path, body in paths_of(foreign, own_task):
        response = token.call(method, path, body)
        assert response.status_code == 404, (method, path, response.text)
    assert token.listed() == token.listed("/normal") == token.listed(sysparm_query=f"sys_id={foreign}") == []
    assert result_of(api.get(f"/{foreign}"))["description"]["value"] == ""

    own = token.new(short_description="mine")
    task = token.new(f"/{own}/task")
    calls = [call for call in paths_of(own, task) if call[0] != "DELETE"]
    assert {token.call(*call).status_code for call in calls} == {200}
    assert token.delete(f"/{own}/task/{task}").status_code == token.delete(f"/{own}").status_code == 200


def id_of_task_under(desk: TokenDesk, api: ChangeApi, change: str, token: ChangeApi) -> str:
    """Return a task that the token's integration created, stored past the rules under a foreign change."""
    task = token.new(f"/{token.new()}/task")
    with desk.app.app_context():
        moved = {"change_request": change, "parent": change}
        db.session.execute(update(ChangeTask).where(ChangeTask.sys_id == task).values(moved))
        db.session.commit()
    api.client.delete(f"{CHANGES}/{token.listed(field='sys_id')[0]}", headers=api.headers)
    return task


def test_own_tasks_hide_those_of_others_under_an_own_change(desk: TokenDesk, api: ChangeApi) -> None:
    token = with_rules(desk, "* change change_request own", "* change change_task own")
    change = token.new()
    foreign = api.new(f"/{change}/task", short_description="by hand")
    assert token.listed(f"/{change}/task") == []
    assert token.patch(f"/{change}/task/{foreign}", {"description": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "params"),
    [
        ("POST", "", {"priority": 1}, {}),
        ("POST", "", {}, {"priority": "1"}),
        ("POST", "", {}, {"PRIORITY": "1 - Critical"}),
        ("POST", "", {"short_description": "x"}, {"work_notes": "x"}),
        ("POST", "/emergency", {}, {}),
        ("PATCH", "/{change}", {"state": "assess"}, {}),
        ("PATCH", "/{change}", {}, {"state": "Assess"}),
        ("PATCH", "/{change}", {"short_description": "x"}, {"comments": "x"}),
        ("PATCH", "/normal/{change}", {"assigned_to": {"value": "admin"}}, {}),
        ("PATCH", "/{change}", {}, {"encrypted_fields": "priority", "priority": "1"}),
    ],
)
def test_no_input_writes_a_field_that_the_rule_does_not_name(
    desk: TokenDesk, method: str, path: str, body: dict[str, Any], params: dict[str, str]
) -> None:
    fields = "fields=short_description,description"
    token = with_rules(desk, f"POST change change_request {fields}", f"PATCH change change_request {fields} own")
    change = token.new("/normal", short_description="x")

    response = token.call(method, path.format(change=change), body, **params)

    assert response.status_code == 403
    assert response.get_json()["error"]["detail"].startswith("The access token may not write the field ")
    sent = token.patch(f"/{change}", {"description": "x"}, short_description="y", bunk="1")
    assert sent.status_code == 200


def test_the_change_of_a_new_task_counts_as_written(desk: TokenDesk, api: ChangeApi) -> None:
    change = api.new()
    token = with_rules(desk, "POST change change_task fields=short_description")
    assert token.post(f"/{change}/task", {"short_description": "x"}).status_code == 403
    put_scope(desk, "ours", "POST change change_task fields=short_description,change_request")
    assert token.post(f"/{change}/task", {"short_description": "x"}).status_code == 200


def test_an_own_record_rule_and_a_rule_of_fields_do_not_combine(desk: TokenDesk, api: ChangeApi) -> None:
    other = api.new()
    token = with_rules(
        desk,
        "POST change change_request",
        "PATCH change change_request own",
        "PATCH change change_request fields=work_notes version=v1",
    )
    own = token.new()
    assert token.patch(f"/{own}", {"description": "x"}).status_code == 200
    assert token.patch(f"/{other}", {"description": "x"}).status_code == 403
    assert token.patch(f"/{other}", {"work_notes": "x"}).status_code == 200


def test_a_path_without_version_is_v1(desk: TokenDesk) -> None:
    token = with_rules(desk, "POST change change_request version=v1")
    assert token.post().status_code == 200
    assert ChangeApi(desk.client, token.headers, V1).post().status_code == 200


def test_a_task_rule_does_not_open_changes(desk: TokenDesk, api: ChangeApi) -> None:
    change = api.new(short_description="secret")
    token = with_rules(desk, "* change change_task")
    assert token.get(f"/{change}").status_code == token.patch(f"/{change}").status_code == 403
    task = token.created(f"/{change}/task", short_description="x")
    assert task["change_request"]["value"] == change
    assert "secret" not in str(task)


def test_roles_bound_a_token_here_as_well(desk: TokenDesk, api: ChangeApi) -> None:
    desk.add_user("reader", "sn_change_read")
    token = with_rules(desk, "* change *", run_as="reader")
    change = api.new()
    assert token.get(f"/{change}").status_code == 200
    assert token.post().status_code == token.patch(f"/{change}").status_code == 403
    assert token.delete(f"/{change}").status_code == 403


def test_a_call_that_no_scope_protects_is_as_the_user(desk: TokenDesk, api: ChangeApi) -> None:
    token = caller(desk, desk.register(scopes=["change_request.create"], scope_restriction=False))
    change = api.new()
    # Models and tasks are in no scope; reading and updating changes is, in scopes that this integration does not have.
    assert token.get("/model").status_code == token.get(f"/{change}/task").status_code == 200
    assert token.get(f"/{change}").status_code == token.patch(f"/{change}").status_code == 403


def test_the_creations_of_a_token_are_marked_and_limited(desk: TokenDesk) -> None:
    limited = desk.register(scopes=["change_request.create", "change_request.read_own"], creations_per_hour=1)
    token = caller(desk, limited)
    change = token.created("/normal")
    assert (change["oauth_entity"]["value"], change["oauth_subject"]["value"]) == (limited.sys_id, "build-42")
    refused = token.post("/normal")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0


def test_windows_need_a_rule_that_reads_changes(desk: TokenDesk) -> None:
    """A creation shows them as well, to a token that does nothing else."""
    path = "/api/sn_chg_rest/windows"
    for scope, status in (("change_request.create", 403), ("change_request.read_own", 200)):
        token = desk.token(desk.register(scope, scopes=[scope]))
        assert desk.client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == status
    ours = desk.register("Ours", scopes=[put_scope(desk, "ours", "GET table change_request")])
    for rule, status in (("GET table change_request", 403), ("* change change_task", 403), ("GET change *", 200)):
        put_scope(desk, "ours", rule)
        assert desk.client.get(path, headers=caller(desk, ours).headers).status_code == status
    creator = desk.register("Creator", scopes=["change_request.create"])
    assert caller(desk, creator).created()["__meta"]["windows"]["spans"]
