"""Run this: the snippets of an integration, and the line that shows whether they worked."""

from changegate.services.integrations.saving import Registered
from tests.console.conftest import SignIn
from tests.console.integrations.test_views import ATTACK, record_path
from tests.console.visitor import Visitor
from tests.support.id_token_desk import register_id_token
from tests.support.token_desk import AUDIENCE, Integration, TokenDesk

WAITING, WORKS, ENABLE = "Waiting for the first exchange", "It works.", "enable it before you run this"


def run_path(integration: Integration) -> str:
    return f"/inbound-integrations/{integration.client_id}/run"


def test_the_record_leads_to_it_and_it_leads_back(admin: Visitor, integration: Registered) -> None:
    record = record_path(integration)
    assert f'href="{record}/run"' in admin.open(record).text
    assert f'href="{record}"' in admin.open(f"{record}/run").text
    assert admin.open(f"/inbound-integrations/{'0' * 32}/run").status_code == 404


def test_a_link_chooses_the_snippet(admin: Visitor, integration: Registered) -> None:
    page = f"{record_path(integration)}/run"
    assert f'href="{page}?snippet=gitlab"' in admin.open(page).text
    chosen = admin.open(f"{page}?snippet=gitlab").text
    assert 'id="snippet-gitlab"' in chosen and chosen.count('aria-current="true"') == 1
    assert 'id="snippet-' in admin.open(f"{page}?snippet={ATTACK}").text


def test_the_snippet_follows_the_integration(admin: Visitor, desk: TokenDesk) -> None:
    conditions = [
        {"claim": "repository_id", "operator": "equals", "value": "613905472"},
        {"claim": "environment", "operator": "equals", "value": "production"},
    ]
    github = desk.register(issuer="https://token.actions.githubusercontent.com", claim_conditions=conditions)
    text = admin.open(run_path(github)).text
    assert 'id="snippet-github-actions"' in text and "    environment: production\n" in text
    assert "repository_id equals 613905472" in text and AUDIENCE in text
    fitting, folded = text.split("Other pipelines")
    assert "snippet=python" in fitting and "snippet=gitlab" not in fitting and "snippet=gitlab" in folded
    assert '<details class="other-snippets" open>' in admin.open(f"{run_path(github)}?snippet=gitlab").text


def test_a_client_with_a_stored_secret_has_no_pipelines_to_unfold(admin: Visitor, desk: TokenDesk) -> None:
    text = admin.open(run_path(desk.register_as("client_credentials", run_as="admin"))).text
    assert "Other pipelines" not in text and "Audience of the token" not in text


def test_waits_until_a_change_is_created(admin: Visitor, desk: TokenDesk) -> None:
    integration = desk.register()
    for path in (run_path(integration), f"{run_path(integration)}/status"):
        assert WAITING in admin.open(path).text
    token = desk.token(integration)
    exchanged = admin.open(f"{run_path(integration)}/status").text
    assert WORKS in exchanged and WAITING not in exchanged and "data-is-final" not in exchanged
    change = desk.call(token).get_json()["result"]
    for path in (run_path(integration), f"{run_path(integration)}/status"):
        text = admin.open(path).text
        assert f'<a href="/change-requests/{change["sys_id"]}">{change["number"]}</a>' in text
        assert "data-is-final" in text


def test_the_last_refusal_is_shown_with_its_remedy(admin: Visitor, desk: TokenDesk) -> None:
    integration = desk.register()
    desk.exchange(integration, assertion=desk.assertion(aud=f"https://{ATTACK}"))
    text = admin.open(f"{run_path(integration)}/status").text
    assert WAITING in text and "<code>aud_mismatch</code>" in text
    assert "Have the workload ask for one of the expected audiences" in text
    assert "<script>alert" not in text
    desk.token(integration)
    assert "aud_mismatch" not in admin.open(f"{run_path(integration)}/status").text


def test_an_inactive_integration_is_to_be_enabled_first(admin: Visitor, desk: TokenDesk) -> None:
    integration = desk.register()
    desk.set(integration, active=False)
    text = admin.open(run_path(integration)).text
    assert ENABLE in text and WAITING not in text


def test_a_change_that_the_reader_may_not_see_has_no_link(sign_in: SignIn, desk: TokenDesk) -> None:
    integration = desk.register()
    change = desk.call(desk.token(integration)).get_json()["result"]
    text = sign_in("rita", "oauth_admin").open(run_path(integration)).text
    assert "It has created a change." in text and change["number"] not in text and change["sys_id"] not in text


def test_an_id_token_is_not_exchanged(admin: Visitor, desk: TokenDesk) -> None:
    page = admin.open(run_path(register_id_token(desk))).text
    assert "Waiting for the first call" in page and "exchange" not in page
