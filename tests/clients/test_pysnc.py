"""PySNC with a user's password: records, pages, batches, attachments."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pysnc import ServiceNowClient
from pysnc.exceptions import AuthenticationException, NotFoundException, RequestException

from tests.clients.conftest import PASSWORD, USER_NAME
from tests.support.servers import Running

PLAN = b"1. Drain the pool\n2. Restart\n\x00\xff"


@pytest.fixture
def maria(server: Running) -> Iterator[ServiceNowClient]:
    """A client with the password of a change manager; the port of the instance is part of its address."""
    client = ServiceNowClient(server.url, (USER_NAME, PASSWORD))
    yield client
    client.session.close()


def insert(client: ServiceNowClient, **fields: str) -> Any:
    record = client.GlideRecord("change_request")
    record.initialize()
    for name, value in fields.items():
        record.set_value(name, value)
    assert record.insert()
    return record


def found_by(client: ServiceNowClient, correlation_id: str, **options: Any) -> Any:
    record = client.GlideRecord("change_request", **options)
    record.add_query("correlation_id", correlation_id)
    record.order_by("short_description")
    record.query()
    return record


def test_inserts_finds_changes_and_deletes(maria: ServiceNowClient) -> None:
    sys_id = insert(maria, short_description="Renew the certificate", category="Software").sys_id

    record = maria.GlideRecord("change_request")
    assert record.get(sys_id)
    record.set_value("short_description", "Renew two certificates")
    assert record.update()
    assert record.get_value("short_description") == "Renew two certificates"
    again = maria.GlideRecord("change_request")
    assert again.get("short_description", "Renew two certificates")
    assert again.sys_id == sys_id
    assert again.get_value("category") == "Software"
    assert again.delete()
    assert not maria.GlideRecord("change_request").get(sys_id)


def test_reads_a_query_page_by_page(maria: ServiceNowClient) -> None:
    wanted = [f"Patch host {number}" for number in range(7)]
    for short_description in wanted:
        insert(maria, short_description=short_description, correlation_id="pysnc patches")

    record = found_by(maria, "pysnc patches", batch_size=3)

    assert record.get_row_count() == len(wanted)
    assert [row.get_value("short_description") for row in record] == wanted


def test_chooses_conditions_fields_and_a_limit(maria: ServiceNowClient) -> None:
    for risk in ("2", "3", "4"):
        insert(maria, short_description="Open a port", risk=risk, correlation_id="pysnc ports")

    record = maria.GlideRecord("change_request")
    record.add_query("correlation_id", "pysnc ports")
    record.add_query("risk", ">", "2").add_or_condition("short_description", "STARTSWITH", "Close")
    record.order_by_desc("risk")
    record.fields = ["risk", "opened_by", "opened_by.user_name"]
    record.limit = 1
    record.query()

    [row] = list(record)
    assert row.get_value("risk") == "4"
    assert row.get_display_value("opened_by") == "Maria Keller"
    assert row.get_value("opened_by.user_name") == USER_NAME


def test_may_choose_the_id_of_a_record(maria: ServiceNowClient) -> None:
    record = maria.GlideRecord("change_request")
    record.initialize()
    record.set_new_guid_value("A" * 32)
    record.set_value("short_description", "With an id of its own")

    assert record.insert() == "A" * 32
    assert maria.GlideRecord("change_request").get("A" * 32)


def test_an_unknown_field_is_ignored(maria: ServiceNowClient) -> None:
    sys_id = insert(maria, short_description="Open a port", this_is_bunk="yes").sys_id

    record = maria.GlideRecord("change_request")
    assert record.get(sys_id)
    assert record.get_value("short_description") == "Open a port"
    assert "this_is_bunk" not in record


def test_changes_many_records_in_one_batch(maria: ServiceNowClient) -> None:
    for number in range(4):
        insert(maria, short_description=f"Move rack {number}", correlation_id="pysnc racks")
    record = found_by(maria, "pysnc racks")
    for row in record:
        row.set_value("short_description", f"{row.get_value('short_description')} again")

    assert record.update_multiple()
    changed = [row.get_value("short_description") for row in found_by(maria, "pysnc racks")]
    assert changed == [f"Move rack {number} again" for number in range(4)]


def test_hears_of_each_record_of_a_batch_in_the_order_sent(maria: ServiceNowClient) -> None:
    for number in range(3):
        insert(maria, short_description=f"Move shelf {number}", correlation_id="pysnc shelves")
    record, heard = found_by(maria, "pysnc shelves"), []
    for row in record:
        row.set_value("short_description", f"Turn shelf {row.location}")

    assert record.update_multiple(custom_handler=heard.append)
    texts = [answer.json()["result"]["short_description"]["value"] for answer in heard]
    assert texts == [f"Turn shelf {number}" for number in range(3)]


def test_deletes_many_records_in_one_batch(maria: ServiceNowClient) -> None:
    for number in range(4):
        insert(maria, short_description=f"Drop table {number}", correlation_id="pysnc tables")

    assert found_by(maria, "pysnc tables").delete_multiple()
    assert found_by(maria, "pysnc tables").get_row_count() == 0


def test_a_query_too_long_for_an_address_goes_through_a_batch(maria: ServiceNowClient) -> None:
    insert(maria, short_description="Needle", correlation_id="pysnc haystack")
    record = maria.GlideRecord("change_request")
    record.add_query("correlation_id", "pysnc haystack")
    record.add_encoded_query("^".join(f"AAAA=BBBB{number}" for number in range(2300)))
    record.query()

    assert [row.get_value("short_description") for row in record] == ["Needle"]


def test_asks_for_changes_by_the_number_of_their_tasks(maria: ServiceNowClient) -> None:
    with_task = insert(maria, short_description="With a task", correlation_id="pysnc related")
    insert(maria, short_description="Without", correlation_id="pysnc related")
    task = maria.GlideRecord("change_task")
    task.initialize()
    task.set_value("change_request", str(with_task.sys_id))
    assert task.insert()

    record = maria.GlideRecord("change_request")
    record.add_query("correlation_id", "pysnc related")
    record.add_rl_query("change_task", "change_request", ">=1")
    record.query()
    assert [row.get_value("short_description") for row in record] == ["With a task"]


def test_asks_for_changes_that_share_a_value_with_another_record(maria: ServiceNowClient) -> None:
    insert(maria, short_description="Joined", correlation_id="pysnc joined")
    record = maria.GlideRecord("change_request")
    record.add_query("correlation_id", "pysnc joined")
    record.add_join_query("sys_user", "opened_by", "sys_id").add_query("user_name", USER_NAME)
    record.query()
    assert [row.get_value("short_description") for row in record] == ["Joined"]

    other = maria.GlideRecord("change_request")
    other.add_join_query("sys_user", "opened_by", "sys_id").add_query("user_name", "nobody")
    other.query()
    assert len(other) == 0


def test_a_join_with_an_unknown_table_is_an_error_and_not_every_record(maria: ServiceNowClient) -> None:
    record = maria.GlideRecord("change_request")
    record.add_join_query("nonsense", "opened_by", "sys_id")
    with pytest.raises(RequestException, match="Invalid table nonsense"):
        record.query()


def test_attaches_reads_and_deletes_a_file(maria: ServiceNowClient, server: Running, tmp_path: Path) -> None:
    record = insert(maria, short_description="With a plan")

    location = record.add_attachment("plan.bin", PLAN)
    sys_id = location.split("/")[-2]
    assert location == f"{server.url}/api/now/v1/attachment/{sys_id}/file"
    attached = record.get_attachments()
    assert [file.file_name for file in attached] == ["plan.bin"]
    attachment = maria.Attachment("change_request")
    assert attachment.get(sys_id)
    assert attachment.read() == PLAN
    assert attachment.write_to(tmp_path).read_bytes() == PLAN
    attachment.delete()
    assert not maria.Attachment("change_request").get(sys_id)


def test_attaches_a_text(maria: ServiceNowClient) -> None:
    record = insert(maria, short_description="With a log")

    record.add_attachment("deploy.log", "one\ntwo", content_type="text/plain")

    [lines] = [file.readlines() for file in record.get_attachments()]
    assert lines == ["one", "two"]


def test_a_wrong_password_is_an_authentication_error(server: Running) -> None:
    client = ServiceNowClient(server.url, (USER_NAME, "wrong"))

    with pytest.raises(
        AuthenticationException, match=r"(?i)user not authenticated.*required to provide auth information"
    ):
        client.GlideRecord("change_request").get("f" * 32)


def test_a_missing_record_is_not_found(maria: ServiceNowClient) -> None:
    record = maria.GlideRecord("change_request")

    assert not record.get("f" * 32)
    with pytest.raises(NotFoundException):
        maria.table_api.get(record, "f" * 32)


def test_a_missing_table_is_an_error_and_not_a_missing_record(maria: ServiceNowClient) -> None:
    with pytest.raises(RequestException, match="Invalid table no_such_table"):
        maria.GlideRecord("no_such_table").get("f" * 32)


def test_a_value_that_is_false_finds_nothing(maria: ServiceNowClient) -> None:
    insert(maria, short_description="Anything")
    record = maria.GlideRecord("change_request")
    record.add_query("short_description", "=", 0)
    record.query()

    assert record.get_encoded_query().startswith("short_description==")
    assert record.get_row_count() == 0
