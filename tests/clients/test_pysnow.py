"""pysnow: its resources, its older interface, attachments, and a session that carries a token."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.clients.conftest import PASSWORD, USER_NAME
from tests.support.live_desk import LiveDesk
from tests.support.servers import Running

with warnings.catch_warnings():
    # On a machine without libmagic the client says so, and sends files as text/plain.
    warnings.simplefilter("ignore", UserWarning)
    # What it needs calls a function that Python 3.12 deprecates.
    warnings.simplefilter("ignore", DeprecationWarning)
    import pysnow
    from pysnow import exceptions, legacy_exceptions

# The client leaves the file that it read to the garbage collector.
leaves_a_file_open = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
older_interface = pytest.mark.filterwarnings("ignore:`(query|insert)` is deprecated:DeprecationWarning")


@pytest.fixture
def client(server: Running) -> Iterator[pysnow.Client]:
    """A client with the password of a change manager; the host may name a port."""
    with pysnow.Client(host=urlsplit(server.url).netloc, user=USER_NAME, password=PASSWORD) as opened:
        yield opened


@pytest.fixture
def changes(client: pysnow.Client) -> pysnow.resource.Resource:
    return client.resource(api_path="/table/change_request")


def test_creates_finds_changes_and_deletes(changes: pysnow.resource.Resource) -> None:
    created = changes.create({"short_description": "Renew the certificate"}).one()
    query = {"sys_id": created["sys_id"]}

    updated = changes.update(query, {"short_description": "Renew two certificates"}).one()
    assert updated["number"] == created["number"]
    assert changes.get(query=query).one()["short_description"] == "Renew two certificates"
    assert changes.delete(query) == {"status": "record deleted"}
    assert changes.get(query=query).one_or_none() is None


def test_finds_a_number_by_the_name_in_capitals(changes: pysnow.resource.Resource) -> None:
    number = changes.create({"short_description": "Open a port"})["number"]

    assert changes.get(query={"NUMBER": number}).one()["number"] == number


def test_pages_fields_and_display_values(changes: pysnow.resource.Resource) -> None:
    for text in ("a", "b", "c"):
        changes.create({"short_description": text, "correlation_id": "pysnow pages"})
    query = pysnow.QueryBuilder().field("correlation_id").equals("pysnow pages")
    query.AND().field("short_description").order_descending()

    fields = ["short_description", "opened_by"]
    rows = changes.get(query=query, limit=2, offset=1, fields=fields, display_value=True, exclude_reference_link=True)

    assert rows.all() == [{"short_description": text, "opened_by": "Maria Keller"} for text in ("b", "a")]


def test_streams_records(changes: pysnow.resource.Resource) -> None:
    for number in range(5):
        changes.create({"short_description": f"stream {number}", "correlation_id": "pysnow stream"})

    rows = changes.get(query={"correlation_id": "pysnow stream"}, stream=True)

    assert sorted(row["short_description"] for row in rows.all()) == [f"stream {number}" for number in range(5)]


def test_builds_every_kind_of_condition(changes: pysnow.resource.Resource) -> None:
    for risk in ("2", "3", "4"):
        changes.create({"short_description": f"risk {risk}", "risk": risk, "correlation_id": "pysnow risks"})
    query = pysnow.QueryBuilder().field("correlation_id").equals("pysnow risks").AND()
    query.field("risk").between(2, 3).OR().field("short_description").ends_with("4").AND()
    query.field("description").is_empty().AND().field("state").equals(["-5", "-4"]).AND()
    query.field("short_description").not_contains("3")

    assert {row["risk"] for row in changes.get(query=query).all()} == {"2", "4"}


def test_several_and_missing_results_are_reported(changes: pysnow.resource.Resource) -> None:
    for _ in range(2):
        changes.create({"short_description": "twin", "correlation_id": "pysnow twins"})

    with pytest.raises(exceptions.MultipleResults):
        changes.get(query={"correlation_id": "pysnow twins"}).one()
    with pytest.raises(exceptions.NoResults):
        changes.get(query={"correlation_id": "pysnow nobody"}).one()


def test_a_refusal_is_an_http_error(client: pysnow.Client) -> None:
    with pytest.raises(requests.HTTPError, match="400"):
        client.resource(api_path="/table/no_such_table").get(query={}).all()


@leaves_a_file_open
def test_attaches_lists_and_deletes_a_file(changes: pysnow.resource.Resource, tmp_path: Path) -> None:
    plan = tmp_path / "plan.txt"
    plan.write_text("1. Drain the pool\n2. Restart\n")
    sys_id = changes.create({"short_description": "With a plan"})["sys_id"]

    uploaded = changes.attachments.upload(sys_id, str(plan)).one()
    assert (uploaded["file_name"], uploaded["size_bytes"]) == ("plan.txt", str(plan.stat().st_size))
    assert [file["sys_id"] for file in changes.attachments.get(sys_id)] == [uploaded["sys_id"]]
    assert changes.attachments.delete(uploaded["sys_id"]) == {"status": "record deleted"}
    assert changes.attachments.get(sys_id) == []


@leaves_a_file_open
def test_its_multipart_upload_without_a_boundary_is_refused(changes: pysnow.resource.Resource, tmp_path: Path) -> None:
    """The client names the type and sends the bare file, which no server can take apart."""
    plan = tmp_path / "plan.txt"
    plan.write_text("1. Drain the pool\n")
    sys_id = changes.create({"short_description": "With a plan"})["sys_id"]

    refused = changes.attachments.upload(sys_id, str(plan), multipart=True)
    with pytest.raises(requests.HTTPError, match="400"):
        refused.one()
    assert changes.attachments.get(sys_id) == []


@older_interface
def test_the_older_interface_counts_reads_and_writes(client: pysnow.Client) -> None:
    client.insert("change_request", {"short_description": "one", "correlation_id": "pysnow older"})
    client.insert("change_request", {"short_description": "two", "correlation_id": "pysnow older"})

    both = client.query("change_request", query={"correlation_id": "pysnow older"})
    assert both.count == 2
    assert [row["short_description"] for row in both.get_multiple(order_by=["-short_description"])] == ["two", "one"]
    one = client.query("change_request", query={"correlation_id": "pysnow older", "short_description": "one"})
    assert one.update({"short_description": "three"})["short_description"] == "three"
    two = client.query("change_request", query={"correlation_id": "pysnow older", "short_description": "two"})
    assert two.clone(reset_fields=["sys_id", "number"])["short_description"] == "two"
    assert both.count == 3


@older_interface
def test_the_older_interface_reports_a_missing_record(client: pysnow.Client) -> None:
    missing = client.query("change_request", query={"correlation_id": "pysnow nobody"})

    with pytest.raises(legacy_exceptions.NoResults):
        missing.delete()


def test_a_session_with_a_token_creates_changes(server: Running, desk: LiveDesk) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {desk.token()}"

    with pysnow.Client(host=urlsplit(server.url).netloc, session=session) as client:
        created = client.resource(api_path="/table/change_request").create({"short_description": "Deploy checkout"})
        assert created["sys_created_by"] == USER_NAME
