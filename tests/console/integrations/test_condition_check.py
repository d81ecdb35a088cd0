"""Check conditions: examples of accepted and refused values, before anything is saved."""

import pytest

from tests.console.visitor import Changes, Visitor, forms_of

NEW = "/inbound-integrations/new/jwt-bearer"
FORM = f"{NEW}/form"
CHECK = f"{NEW}/check-conditions"


def check(visitor: Visitor, changes: Changes) -> str:
    """Run the check as the page's script does, and return what it inserts."""
    form = forms_of(visitor.open(FORM)).forms["integration"]
    for name, value in changes.items():
        form[name] = str(value)
    headers = {"X-CSRFToken": form["csrf_token"], "X-Fragment": "condition-check"}
    answer = visitor.client.post(CHECK, data=form, headers=headers)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    return answer.text


def row(claim: str, value: str, **changes: str) -> dict[str, str]:
    """Return the fields of a condition."""
    fields = {"claim": claim, "operator": "equals", "value_type": "string", "value": value} | changes
    return {f"claim_conditions-0-{name}": text for name, text in fields.items()}


def test_shows_values_that_a_condition_accepts_and_refuses(admin: Visitor) -> None:
    text = check(admin, row("ref", "refs/heads/*", operator="glob"))
    assert "&#34;refs/heads/main&#34;" in text
    assert "&#34;refs/heads/one/more&#34;" in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (row("ref", "*", operator="glob"), "This admits everything"),
        (row("ref", "a/**", operator="glob"), "** is not a wildcard"),
        (row("ref", "main", report_only="on"), "Every condition only reports"),
        ({"run_as": "admin"}, "Everyone who gets a token for this audience acts as admin."),
        ({"issuer": "https://gitlab.com"}, "GitLab CI signs for everybody under this issuer."),
        (row("project_path", "a/b") | {"preset": "gitlab"}, "can be given up and taken by another party"),
        ({}, "There are no conditions."),
        (row("repository_id", "42") | {"preset": "github-actions"}, "These conditions have no problems."),
    ],
)
def test_warns_in_sentences(admin: Visitor, changes: Changes, sentence: str) -> None:
    assert sentence in check(admin, changes)


def test_escapes_the_input(admin: Visitor) -> None:
    text = check(admin, row("<script>alert(1)</script>", "<img src=x>"))
    assert "<script>" not in text
    assert "<img" not in text


def test_shows_the_whole_page_to_a_browser_without_scripts(admin: Visitor) -> None:
    fields = forms_of(admin.open(FORM)).forms["integration"]
    for name, value in row("ref", "refs/heads/*", operator="glob").items():
        fields[name] = value
    page = admin.client.post(CHECK, data=fields)
    assert "Examples of what the conditions admit and refuse" in page.text
    assert forms_of(page).forms["integration"]["claim_conditions-0-value"] == "refs/heads/*"
