"""The pipelines' texts: complete but for secrets, and readable by what runs them."""

import subprocess
import textwrap
from dataclasses import replace

import pytest

from changegate.services.integrations.assertion_sources import ASSERTION_SOURCES
from changegate.services.integrations.snippets import VARIABLE, Snippet, SnippetContext, list_snippets

AUDIENCE = "https://desk.example.com/it's"
TARGET = SnippetContext(
    client_id="0123456789abcdef0123456789abcdef",
    is_public=False,
    audience=AUDIENCE,
    issuer="https://idp.example.com/realms/ci",
    base_url="https://desk.example.com",
)
ALL_PRESETS = [None, *ASSERTION_SOURCES]


def script_of(snippet: Snippet) -> str:
    """Return the shell script within a snippet."""
    lines = textwrap.dedent(snippet.text).splitlines(keepends=True)
    starts = ("run: |", "- |", "command: |", "sh '''", "- run: |")
    begin = next((place + 1 for place, line in enumerate(lines) if line.strip() in starts), 0)
    end = next((place for place, line in enumerate(lines) if line.strip() == "'''"), len(lines))
    return textwrap.dedent("".join(lines[begin:end])).replace("$$", "$")


def of(name: str, target: SnippetContext = TARGET) -> Snippet:
    """Return one snippet of a target."""
    return next(snippet for snippet in list_snippets(target) if snippet.name == name)


def test_offers_the_usual_pipelines_and_curl() -> None:
    assert [snippet.label for snippet in list_snippets(TARGET)] == ["GitHub Actions", "GitLab CI", "Jenkins", "curl"]


def test_begins_with_the_integrations_own_provider() -> None:
    assert list_snippets(replace(TARGET, preset="gitlab"))[0].name == "gitlab"
    assert [snippet.name for snippet in list_snippets(replace(TARGET, preset="spiffe"))] == [
        *("spiffe", "github-actions", "gitlab", "jenkins", "curl"),
    ]


@pytest.mark.parametrize("preset", ALL_PRESETS)
@pytest.mark.parametrize("is_public", [True, False])
def test_fills_in_everything_but_the_secret(preset: str | None, is_public: bool) -> None:
    for snippet in list_snippets(replace(TARGET, preset=preset, is_public=is_public)):
        assert TARGET.client_id in snippet.text
        assert TARGET.base_url in snippet.text
        assert "{issuer}" not in snippet.text
        assert "{audience}" not in snippet.text
        assert (f"client_secret=${VARIABLE}" in snippet.text.replace("$$", "$")) is not is_public, snippet.name
        assert bool(snippet.before) or is_public, snippet.name


@pytest.mark.parametrize("preset", ALL_PRESETS)
def test_is_a_script_that_a_shell_can_read(preset: str | None) -> None:
    for snippet in list_snippets(replace(TARGET, preset=preset)):
        script = script_of(snippet)
        assert script.rstrip().endswith("}'"), snippet.name
        read = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert read.returncode == 0, (snippet.name, read.stderr)


def test_an_audience_with_a_quotation_mark_stays_one_word() -> None:
    asked = script_of(of("github-actions"))
    echoed = next(line for line in asked.splitlines() if "audience=" in line).strip().removesuffix("\\")
    printed = subprocess.run(["sh"], input=f"printf '%s\\n' {echoed}", capture_output=True, text=True, check=True)
    assert printed.stdout.splitlines()[-1] == f"audience={AUDIENCE}"


def test_refers_to_each_providers_own_place_for_secrets() -> None:
    assert f"{VARIABLE}: ${{{{ secrets.{VARIABLE} }}}}" in of("github-actions").text
    assert "credentialsId: 'changegate-secret'" in of("jenkins").text
    assert "masked" in of("gitlab").before


def test_leaves_dollars_to_the_shell_where_the_provider_would_fill_them_in() -> None:
    text = of("buildkite", replace(TARGET, preset="buildkite")).text
    assert "$$DESK" in text
    assert "$DESK" not in text.replace("$$", "")


def test_asks_the_issuers_own_token_endpoint() -> None:
    text = of("keycloak", replace(TARGET, preset="keycloak")).text
    assert " https://idp.example.com/realms/ci/protocol/openid-connect/token " in text


def test_a_client_with_credentials_asks_with_its_secret_and_nothing_else() -> None:
    [snippet] = list_snippets(replace(TARGET, connection_type="client_credentials"))
    assert "grant_type=client_credentials" in snippet.text
    assert "assertion" not in snippet.text and f"client_secret=${VARIABLE}" in snippet.text
    subprocess.run(["bash", "-n"], input=snippet.text, text=True, check=True)


def test_the_password_grant_names_whose_password_it_is_and_refreshes_where_it_may() -> None:
    plain, refreshed = (
        list_snippets(replace(TARGET, connection_type="password", gives_refresh_tokens=gives))[0].text
        for gives in (False, True)
    )
    assert "grant_type=password" in plain and '"password=$DESK_PASSWORD"' in plain
    assert "refresh_token" not in plain and "grant_type=refresh_token" in refreshed
    for text in (plain, refreshed):
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize("preset", ALL_PRESETS)
def test_an_id_token_goes_straight_to_the_api(preset: str | None) -> None:
    for snippet in list_snippets(replace(TARGET, preset=preset, connection_type="id_token")):
        script = script_of(snippet)
        assert "oauth_token.do" not in script and f"${VARIABLE}" not in snippet.text
        assert "token=$assertion" in script and "Authorization: Bearer $token" in script
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)
