"""The history of a record of the process: from its hash chain, with its parts, for those who may read it."""

import html
import re

import pytest
from flask import Flask

from changegate.extensions import db
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import create_record, update_record
from tests.console.conftest import ROOT, SignIn
from tests.console.visitor import Visitor


@pytest.fixture
def policy(app: Flask) -> str:
    """A policy whose order was edited, with a rule."""
    with app.app_context():
        table = get_table("chg_policy_approval")
        fields = {"name": "Payments", "order": "500", "state": "-4"}
        sys_id = str(create_record(table, ROOT, fields)["sys_id"])
        update_record(table, ROOT, sys_id, {"order": "300"})
        db.session.commit()
    return f"/records/chg_policy_approval/{sys_id}?tab=history"


def rows_in(page: str) -> list[str]:
    """Return the rows of the history as text, newest first."""
    table = re.search(r'<table class="table stacks history">.*?</table>', page, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", table[0] if table else "", re.DOTALL)[1:]
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", row)).split()) for row in rows]


def test_each_save_shows_its_fields_and_leads_to_its_entry(admin: Visitor, policy: str) -> None:
    page = admin.open(policy).text
    rows = rows_in(page)
    assert rows[0].endswith("System Administrator Order 500 300")
    entries = re.findall(r'href="(/records/chg_history/[0-9a-f]{32})"', page)
    assert len(entries) == len(set(entries)) >= 2
    assert admin.open(entries[0]).status_code == 200


def test_readers_of_changes_see_it_without_the_audit_trail(sign_in: SignIn, policy: str) -> None:
    rows = rows_in(sign_in("ines", "itil").open(policy).text)
    assert rows[0].endswith("System Administrator Order 500 300")
    assert rows_in(sign_in("nora").open(policy).text) == []


def test_parts_are_named_with_their_table(app: Flask, admin: Visitor) -> None:
    with app.app_context():
        models = get_table("chg_model")
        model = str(create_record(models, ROOT, {"name": "Firewalls", "copied_from": "normal"})["sys_id"])
        db.session.commit()
    page = admin.open(f"/records/chg_model/{model}?tab=history")
    assert page.status_code == 200
    assert any("Name Empty Firewalls" in row for row in rows_in(page.text))
