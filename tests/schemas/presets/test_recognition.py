import pytest
from hypothesis import given
from hypothesis import strategies as st

from changegate.schemas.presets import (
    PLACEHOLDERS,
    PRESETS,
    fill,
    find_by_issuer,
    find_jwks_url,
    find_refusal,
    find_shared,
    recognition,
    recognize,
)

TELLING = [(preset, form) for preset in PRESETS.values() for form in preset.issuers if form.is_telling]
TENANT = "5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"


@pytest.mark.parametrize(("preset", "form"), TELLING, ids=[f"{p.name}: {f.name}" for p, f in TELLING])
def test_an_issuer_determines_its_provider_and_jwks_url(preset, form):
    place = fill(preset, {name: PLACEHOLDERS[name].example for name in form.placeholders}, form=form.name)
    found = recognize(place.issuer)
    assert found is not None
    assert (found.preset, found.filled) == (preset, place)
    assert find_by_issuer(place.issuer) is preset


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "https://",
        "https://ci.example.com",
        "https://ci.example.com/oidc",
        "https://gitlab.com.example.com",
        "https://evil.example/https://gitlab.com",
        "https://gitlab.company.example",
        "https://accounts.google.com.example.com",
        "https://xtoken.actions.githubusercontent.com.example",
        "https://[::1",
        "gitlab.com",
        "https://kubernetes.default.svcs",
        "https://kubernetes.default.svc.cluster.local/else",
        "https://kubernetes.default.svc@evil.example",
    ],
)
def test_an_issuer_that_may_be_anybodys_is_nobodys(issuer):
    assert find_by_issuer(issuer) is None


@pytest.mark.parametrize("suffix", ["", "/", ".cluster.local", ".prod.example.com"])
def test_the_name_of_the_api_server_within_a_cluster_belongs_to_kubernetes(suffix):
    issuer = f"https://kubernetes.default.svc{suffix}"
    assert find_by_issuer(issuer) is PRESETS["kubernetes"]
    # Each cluster has keys of its own.
    assert find_jwks_url(issuer) is None


@pytest.mark.parametrize(
    ("issuer", "name"),
    [
        ("https://token.actions.githubusercontent.com", "github-actions"),
        ("https://token.actions.githubusercontent.com/", "github-actions"),
        ("https://token.actions.githubusercontent.com/acme-inc", "github-actions"),
        ("https://token.actions.githubusercontent.com/acme/inc/x?y", "github-actions"),
        ("HTTPS://TOKEN.ACTIONS.GITHUBUSERCONTENT.COM", "github-actions"),
        ("https://token.actions.githubusercontent.com:443", "github-actions"),
        ("https://token.actions.githubusercontent.com.", "github-actions"),
        ("https://gitlab.com", "gitlab"),
        ("https://gitlab.com/", "gitlab"),
        ("https://accounts.google.com", "google"),
        ("https://agent.buildkite.com", "buildkite"),
        ("https://app.terraform.io", "hcp-terraform"),
        ("https://app.eu.terraform.io", "hcp-terraform"),
    ],
)
def test_a_shared_issuer_is_known_by_its_host(issuer, name):
    assert find_shared(issuer) is find_by_issuer(issuer) is PRESETS[name]


@pytest.mark.parametrize(
    "issuer",
    [
        "https://github.example.com/_services/token",
        "https://token.actions.acme.ghe.com",
        "https://gitlab.example.com",
        "https://tfe.example.com",
        f"https://login.microsoftonline.com/{TENANT}/v2.0",
        "bot@acme.iam.gserviceaccount.com",
    ],
)
def test_an_installation_of_ones_own_is_not_shared(issuer):
    assert find_shared(issuer) is None


@pytest.mark.parametrize(
    ("issuer", "preset", "part"),
    [
        ("https://login.microsoftonline.com/{tenantid}/v2.0", None, "still holds a placeholder"),
        ("https://sso.example.com/realms/<realm>", "keycloak", "still holds a placeholder"),
        ("https://login.microsoftonline.com/common/v2.0", None, "/common"),
        ("https://login.microsoftonline.com/Common/v2.0", None, "/common"),
        ("https://login.microsoftonline.com/organizations/v2.0", "entra-id", "/organizations"),
        ("https://login.microsoftonline.us/consumers/v2.0", None, "/consumers"),
        ("https://sts.windows.net/common/", None, "/common"),
        (f"https://login.microsoftonline.com/{PERSONAL}/v2.0", None, "personal accounts"),
        ("accounts.google.com", None, "enter https://accounts.google.com"),
        ("accounts.google.com", "google", "enter https://accounts.google.com"),
        ("kubernetes/serviceaccount", None, "never expire"),
        ("https://acme.okta.com", None, "org authorization server"),
        ("https://acme.okta.com/", None, "org authorization server"),
        ("https://acme.oktapreview.com/oauth2", None, "org authorization server"),
        ("https://login.example.com", "okta", "org authorization server"),
    ],
)
def test_some_issuers_cannot_be_trusted_whatever_the_conditions(issuer, preset, part):
    told = find_refusal(issuer, PRESETS.get(preset or ""))
    assert told is not None
    assert part in told
    assert told.endswith(".")


@pytest.mark.parametrize(
    ("issuer", "preset"),
    [
        (f"https://login.microsoftonline.com/{TENANT}/v2.0", "entra-id"),
        (f"https://sts.windows.net/{TENANT}/", None),
        ("https://sso.example.com/common/", None),
        ("https://sso.example.com/realms/organizations", "keycloak"),
        ("https://acme.okta.com/oauth2/default", "okta"),
        ("https://login.example.com/oauth2/aus1", "okta"),
        ("https://login.example.com", "pingfederate"),
        ("https://accounts.google.com", "google"),
        ("https://kubernetes.default.svc.cluster.local", "kubernetes"),
    ],
)
def test_the_issuers_of_tenants_are_not_refused(issuer, preset):
    assert find_refusal(issuer, PRESETS.get(preset or "")) is None


def test_a_text_that_is_longer_than_the_field_is_not_matched(monkeypatch):
    matched = []
    monkeypatch.setattr(recognition, "match_form", lambda _form, issuer: matched.append(issuer))
    longest = "https://a/".ljust(recognition.MAX_ISSUER_LENGTH, "a")
    assert find_by_issuer(longest + "a") is None
    assert matched == []
    assert find_by_issuer(longest) is None
    assert set(matched) == {longest}


@given(st.text() | st.from_regex(r"https?://[\w@:/\[\].{}-]*", fullmatch=True))
def test_any_text_is_looked_up_without_an_error(issuer):
    assert find_by_issuer(issuer) is None or find_by_issuer(issuer) in PRESETS.values()
    assert isinstance(find_refusal(issuer, None), str | None)
