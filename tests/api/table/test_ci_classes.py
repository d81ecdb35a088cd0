"""Every class that a configuration item can have is read under its own table name."""

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.models.cmdb_ci import CI_CLASSES
from changegate.services.users.accounts import get_user, set_password
from tests.conftest import basic
from tests.support.attachment_api import AttachmentApi
from tests.support.table_api import TableApi, result_of

PASSWORD = "of the administrator"
CLASSES = [name for name in CI_CLASSES if name != "cmdb_ci"]


@pytest.fixture
def headers(either_app: Flask) -> dict[str, str]:
    with either_app.app_context():
        set_password(get_user("admin"), PASSWORD)
        db.session.commit()
    return basic("admin", PASSWORD)


def api(app: Flask, headers: dict[str, str], table: str = "cmdb_ci") -> TableApi:
    return TableApi(app.test_client(), headers, f"/api/now/table/{table}")


@pytest.mark.parametrize("name", CLASSES)
def test_an_item_is_read_under_its_class_and_under_no_other(
    either_app: Flask, headers: dict[str, str], name: str
) -> None:
    items = api(either_app, headers)
    made = {one: items.created(name=one, sys_class_name=one, operational_status="7")["sys_id"] for one in CI_CLASSES}
    own = api(either_app, headers, name)
    classes = [name, "service_offering"] if name == "cmdb_ci_service" else [name]
    assert own.found("ORDERBYname", "name") == classes
    assert own.get(made["cmdb_ci"]).status_code == 404
    shown = result_of(own.get(made[name], display_value="true"))
    assert (shown["sys_class_name"], shown["operational_status"]) == (CI_CLASSES[name], "Pipeline")
    counted = own.client.get(f"/api/now/stats/{name}?sysparm_count=true", headers=headers)
    assert result_of(counted)["stats"]["count"] == str(len(classes))
    assert items.found("ORDERBYname", "name") == sorted(CI_CLASSES)


def test_items_are_written_through_the_table_of_all(either_app: Flask, headers: dict[str, str]) -> None:
    made = api(either_app, headers).created(name="web", sys_class_name="cmdb_ci_server")["sys_id"]
    own = api(either_app, headers, "cmdb_ci_server")
    assert own.update(made, {"name": "x"}).status_code == 403
    assert own.create({"name": "x"}).status_code == 403
    assert own.delete(made).status_code == 403
    files = AttachmentApi(either_app.test_client(), headers)
    assert files.uploaded(made, table="cmdb_ci")["table_name"] == "cmdb_ci"
    assert api(either_app, headers).delete(made).status_code == 204
    assert files.names() == []


def test_a_change_of_class_moves_an_item(either_app: Flask, headers: dict[str, str]) -> None:
    items = api(either_app, headers)
    made = items.created(name="web", sys_class_name="cmdb_ci_server")["sys_id"]
    assert items.update(made, {"sys_class_name": "cmdb_ci_appl"}).status_code == 200
    assert api(either_app, headers, "cmdb_ci_server").found("", "name") == []
    assert api(either_app, headers, "cmdb_ci_appl").found("", "name") == ["web"]
