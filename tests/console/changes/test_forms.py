"""The form of a change, comments, and files."""

import io
import re

from changegate.database import commit
from changegate.extensions import limiter, settings
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record
from tests.console.changes.conftest import Desk
from tests.console.conftest import ROOT, MakeChange, SignIn
from tests.console.visitor import Visitor, forms_of

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f6"
    "45400000000049454e44ae426082"
)


def test_a_change_is_created_with_names_of_people_and_groups(desk: Desk) -> None:
    sent = {"short_description": "Patch", "assignment_group": "Network", "assigned_to": "mia", "type": "emergency"}
    answer = desk.tom.send(desk.tom.open("/change-requests/new"), "record", sent)
    text = desk.tom.open(str(answer.location)).text
    for shown in ("Patch", "Network", "Emergency"):
        assert shown in text


def test_an_error_is_shown_at_its_field_and_in_the_summary(desk: Desk) -> None:
    sent = {"short_description": "Patch", "assignment_group": "No such group"}
    answer = desk.tom.send(desk.tom.open("/change-requests/new"), "record", sent)
    assert answer.status_code == 400
    assert re.search(r'name="assignment_group"[^>]*value="No such group"[^>]*aria-invalid="true"', answer.text)
    assert '<a href="#assignment_group">Assignment group</a>' in answer.text
    assert 'value="Patch"' in answer.text


def test_a_change_has_a_short_description(desk: Desk, make_change: MakeChange) -> None:
    sent = {"start_date": "2027-01-01 10:00:00", "end_date": "2027-01-01 09:00:00", "assigned_to": "nobody.here"}
    answer = desk.tom.send(desk.tom.open("/change-requests/new"), "record", sent)
    assert answer.status_code == 400
    # All errors at once.
    for name in ("short_description", "end_date", "assigned_to"):
        assert f'<a href="#{name}">' in answer.text
    assert desk.tom.send(desk.tom.open(f"{desk.url}/edit"), "record", {"short_description": ""}).status_code == 400
    nameless = f"/change-requests/{make_change(short_description='')}/edit"
    assert desk.tom.send(desk.tom.open(nameless), "record", {"category": "Hardware"}).status_code == 302


def test_a_copy_takes_over_what_is_planned_but_not_when(desk: Desk) -> None:
    changes = {
        "implementation_plan": "Carefully",
        "start_date": "2027-01-01 10:00:00",
        "end_date": "2027-01-01 11:00:00",
    }
    desk.tom.send(desk.tom.open(f"{desk.url}/edit"), "record", changes)
    copied = forms_of(desk.tom.open(f"/change-requests/new?copy={desk.change}")).forms["record"]
    assert (copied["implementation_plan"], copied["start_date"], copied["assignment_group"]) == (
        "Carefully",
        "",
        "Network",
    )


def test_a_stale_edit_shows_both_versions(desk: Desk) -> None:
    page = desk.tom.open(f"{desk.url}/edit")
    desk.mia.send(desk.mia.open(f"{desk.url}/edit"), "record", {"short_description": "Move two routers"})
    stale = desk.tom.send(page, "record", {"short_description": "Move no router"})
    assert stale.status_code == 409
    for text in ("Move a router", "Move two routers", "Move no router"):
        assert f'<td class="breakable">{text}</td>' in stale.text
    assert desk.field("short_description") == "Move two routers"
    newer = re.search(r'name="overwrite" value="([^"]+)"', stale.text)
    assert newer is not None
    desk.tom.send(stale, "record", {"overwrite": newer[1]})
    assert desk.field("short_description") == "Move no router"


def test_a_form_writes_no_field_that_it_does_not_have(desk: Desk) -> None:
    page = desk.tom.open(f"{desk.url}/edit")
    desk.tom.send(page, "record", {"approval": "approved", "state": "-1", "short_description": "Changed"})
    assert (desk.field("approval"), desk.field("state"), desk.field("short_description")) == (
        "not requested",
        -5,
        "Changed",
    )


def test_comments_and_work_notes_are_in_the_activity(desk: Desk, sign_in: SignIn) -> None:
    for journal, text in (("comments", "Any news?"), ("work_notes", "Cable ordered <b>")):
        page = desk.tom.open(f"{desk.url}?tab=activity")
        assert desk.tom.send(page, "comment", {"journal": journal, "text": text}).status_code == 302
    text = desk.mia.open(f"{desk.url}?tab=activity").text
    assert "Any news?" in text
    assert "Cable ordered &lt;b&gt;" in text
    assert desk.tom.send(page, "comment", {"journal": "close_notes", "text": "x"}).status_code == 400


def attach(visitor: Visitor, desk: Desk, name: str, content: bytes) -> int:
    page = visitor.open(f"{desk.url}?tab=files")
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
    sent = {"csrf_token": token, "file": (io.BytesIO(content), name)}
    return visitor.client.post(f"{desk.url}/files", data=sent, content_type="multipart/form-data").status_code


def test_an_image_is_previewed_and_other_files_are_saved(desk: Desk) -> None:
    assert attach(desk.tom, desk, "plan.png", PNG) == 302
    assert attach(desk.tom, desk, "run.html", b"<script>alert(1)</script>") == 302
    text = desk.mia.open(f"{desk.url}?tab=files").text
    [image] = re.findall(r'<img src="([^"]+/files/[^"]+)"', text)
    shown = desk.mia.client.get(image)
    assert (shown.data, shown.headers["Content-Disposition"].partition(";")[0]) == (PNG, "inline")
    [other] = {path for path in re.findall(r'href="([^"]+/files/[0-9a-f]{32})"', text) if path != image}
    saved = desk.mia.client.get(other)
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert (saved.mimetype, saved.headers["X-Content-Type-Options"]) == ("text/plain", "nosniff")


def test_a_file_belongs_to_its_change_and_its_readers(desk: Desk, sign_in: SignIn) -> None:
    attach(desk.tom, desk, "plan.png", PNG)
    [path] = set(re.findall(r'href="([^"]+/files/[0-9a-f]{32})"', desk.tom.open(f"{desk.url}?tab=files").text))
    assert desk.tom.open(path.replace(desk.change, "0" * 32)).status_code == 404
    assert sign_in("nora").open(path).status_code == 404


def test_an_oversized_file_and_none_are_refused(desk: Desk) -> None:
    with desk.app.app_context():
        most = settings().attachment_max_bytes
    assert attach(desk.tom, desk, "", b"") == 400
    if most < 5_000_000:
        assert attach(desk.tom, desk, "big.bin", b"x" * (most + 1)) == 400


def test_a_deleted_file_is_gone(desk: Desk) -> None:
    attach(desk.tom, desk, "plan.png", PNG)
    page = desk.tom.open(f"{desk.url}?tab=files")
    [form] = [name for name in forms_of(page).forms if name.endswith("/delete")]
    assert desk.tom.send(page, form).status_code == 302
    assert "No file is attached." in desk.tom.open(f"{desk.url}?tab=files").text


def test_a_requester_without_a_role_comments_on_own_changes_only(
    desk: Desk, sign_in: SignIn, make_change: MakeChange
) -> None:
    nora = sign_in("nora")
    own = make_change(short_description="Mine", requested_by="nora")
    page = nora.open(f"/change-requests/{own}?tab=activity")
    assert "Work notes" not in page.text
    assert nora.send(page, "comment", {"text": "Any news?"}).status_code == 302
    assert "Any news?" in nora.open(f"/change-requests/{own}?tab=activity").text
    sent = {"csrf_token": forms_of(page).forms["comment"]["csrf_token"], "journal": "comments", "text": "x"}
    assert nora.client.post(f"{desk.url}/comment", data=sent).status_code == 404
    assert (
        nora.client.post(f"/change-requests/{own}/comment", data={**sent, "journal": "work_notes"}).status_code == 400
    )


def test_the_form_of_a_task_shows_what_most_tasks_need_and_takes_notes(desk: Desk) -> None:
    path = str(desk.tom.send(desk.tom.open("/records/change_task/new"), "record", task_of(desk)).location)
    page = desk.tom.open(path)
    first, more = page.text.split("<summary>More fields</summary>")
    for name in ("change_request", "assigned_to", "work_notes", "close_notes"):
        assert f'id="{name}"' in first
    for name in ("made_sla", "delivery_plan", "watch_list"):
        assert f'id="{name}"' in more
    desk.tom.send(page, "record", {"work_notes": "The cable is labeled."})
    page = desk.mia.open(path)
    assert '<p class="entry-text">The cable is labeled.</p>' in page.text
    assert "The cable is labeled." not in forms_of(page).forms["record"].values()
    # An error in a folded field opens it.
    refused = desk.mia.send(page, "record", {"parent": "CHG9999999"})
    assert refused.status_code == 400
    assert '<details class="panel more-fields" open>' in refused.text


def task_of(desk: Desk) -> dict[str, str]:
    """Return the fields of a task of the change."""
    return {"change_request": desk.change, "short_description": "Label the cable"}


def test_a_new_change_can_begin_with_a_template(desk: Desk) -> None:
    page = desk.tom.open("/change-requests/new").text
    link = re.search(r'href="([^"]+)">From a template<', page)
    assert link
    assert "<h1>Request a change" in desk.tom.open(link[1]).text
    assert "From a template" not in desk.tom.open(f"/change-requests/{desk.change}/edit").text


def test_too_many_comments_within_a_minute_are_refused_with_their_text(desk: Desk) -> None:
    page = desk.tom.open(f"{desk.url}?tab=activity")
    assert desk.tom.send(page, "comment", {"text": "First"}).status_code == 302
    with desk.app.app_context():
        for _ in range(19):
            limiter.count(str(desk.field("requested_by")), "comments")
    refused = desk.tom.send(page, "comment", {"text": "Last"})
    assert refused.status_code == 429
    assert "You have added too many comments within a minute." in refused.text
    assert ">Last</textarea>" in refused.text
    assert desk.mia.send(desk.mia.open(f"{desk.url}?tab=activity"), "comment", {"text": "Mine"}).status_code == 302


def test_a_ci_is_added_on_the_page_of_the_change(desk: Desk) -> None:
    with desk.app.app_context():
        for name in ("core-switch-01", "core-switch-02"):
            create_record(get_table("cmdb_ci"), ROOT, {"name": name})
        commit()
    page = desk.tom.open(f"{desk.url}?tab=items")
    refused = desk.tom.send(page, "add-item", {"ci_item": "core-switch"})
    assert refused.status_code == 400
    assert "Similar names: core-switch-01, core-switch-02." in refused.text
    assert forms_of(refused).forms["add-item"]["ci_item"] == "core-switch"
    added = desk.tom.send(refused, "add-item", {"ci_item": "core-switch-02"})
    assert added.location == f"{desk.url}?tab=items"
    assert re.search(r'<a href="/records/cmdb_ci/[0-9a-f]{32}">core-switch-02</a>', desk.mia.open(added.location).text)


def test_who_may_not_edit_a_change_adds_no_ci(desk: Desk, sign_in: SignIn) -> None:
    rita = sign_in("rita", "sn_change_read")
    page = rita.open(f"{desk.url}?tab=items")
    assert "add-item" not in page.text
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page.text)[0]
    refused = rita.client.post(f"{desk.url}/items", data={"csrf_token": token, "ci_item": "x"})
    assert refused.status_code == 403


def test_a_user_who_may_not_create_a_change_is_led_to_the_templates(sign_in: SignIn) -> None:
    nora = sign_in("nora")
    assert 'href="/request-a-change">' in nora.open("/change-requests").text.partition("<main")[2]
    led = nora.open("/change-requests/new")
    assert (led.status_code, led.location) == (302, "/request-a-change")
    assert "Your roles do not allow you to create a change without a template." in nora.open(str(led.location)).text
