import pytest

from changegate.errors import InputInvalid
from changegate.schemas.integration import SCHEMAS
from changegate.schemas.presets import (
    CLAIM_KINDS,
    PLACEHOLDERS,
    PRESETS,
    claim_kinds,
    defaults_of,
    fill,
    find_preset,
    get_preset,
)
from changegate.services.keys.address_policy import FetchPolicy
from changegate.services.keys.url_policy import admit_url

EVERY_PLACE = [(preset, form) for preset in PRESETS.values() for form in preset.issuers]
PLACES = pytest.mark.parametrize(("preset", "form"), EVERY_PLACE, ids=[f"{p.name}: {f.name}" for p, f in EVERY_PLACE])
EVERY_PRESET = pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))

PINNED = {
    "github-actions": "613905472",
    "gitlab": "4711",
    "google": "110169484474386276334",
    "buildkite": "0184990a-477b-4fa8-9968-496074483cee",
    "hcp-terraform": "org-GRNbCjYNpBB6NEBh",
}


def filled(preset, form):
    return fill(preset, {name: PLACEHOLDERS[name].example for name in form.placeholders}, form=form.name)


@PLACES
def test_defaults_load_once_the_issuer_is_filled_in(preset, form):
    place = filled(preset, form)
    pin = {"operator": "equals", "value": PINNED.get(preset.name)}
    conditions = [pin | {"claim": claim.claim} for claim in preset.pins[:1]]
    fields = {
        **defaults_of(preset),
        "name": "Pipeline",
        "issuer": place.issuer,
        "jwks_url": place.jwks_url,
        "audiences": ["https://change.example.com"],
        "claim_conditions": conditions,
        "run_as": "release.bot",
    }
    loaded = SCHEMAS["jwt_bearer"].load(fields)
    for name, value in defaults_of(preset).items():
        assert loaded[name] == value, name


def test_every_preset_with_pins_has_a_value_in_the_test_above():
    assert {preset.name for preset in PRESETS.values() if preset.pins} == PINNED.keys()


@PLACES
def test_both_urls_are_fit_to_be_fetched_from(preset, form):
    place = filled(preset, form)
    admit_url(place.jwks_url, FetchPolicy())
    assert not set("{}") & set(place.issuer + place.jwks_url)
    assert "//" not in place.jwks_url.removeprefix("https://")


@PLACES
def test_a_place_can_be_filled_with_nothing_but_what_fits(preset, form):
    good = {name: PLACEHOLDERS[name].example for name in form.placeholders}
    for name in form.placeholders:
        for bad in ("", "two words", "{tenantid}", "<yours>", "https://https://x", "a/../b?c#d", good[name] + "\n"):
            with pytest.raises(InputInvalid) as refusal:
                fill(preset, good | {name: bad}, form=form.name)
            assert list(refusal.value.fields) == [name]


def test_a_missing_part_is_asked_for_with_an_example():
    with pytest.raises(InputInvalid) as refusal:
        fill(get_preset("circleci"), {})
    assert refusal.value.fields == {
        "organization_id": ["Give the Organization ID, like 7b1e6d0c-2f3a-4c58-9e4d-5a6b7c8d9e0f."]
    }


def test_the_first_place_is_meant_unless_another_is_named():
    assert fill(get_preset("gitlab"), {}).issuer == "https://gitlab.com"
    own = fill(get_preset("gitlab"), {"host": "git.example.com:8443"}, form="self-managed")
    assert (own.issuer, own.jwks_url) == (
        "https://git.example.com:8443",
        "https://git.example.com:8443/oauth/discovery/keys",
    )
    with pytest.raises(InputInvalid, match=r"no place nowhere; it has gitlab\.com, self-managed"):
        fill(get_preset("gitlab"), {}, form="nowhere")


@pytest.mark.parametrize(
    ("name", "form", "parts", "issuer", "jwks_url"),
    [
        (
            "entra-id",
            "v1",
            {"tenant_id": "5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90"},
            "https://sts.windows.net/5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90/",
            "https://login.microsoftonline.com/5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90/discovery/keys",
        ),
        (
            "auth0",
            "tenant",
            {"auth0_tenant": "acme.eu"},
            "https://acme.eu.auth0.com/",
            "https://acme.eu.auth0.com/.well-known/jwks.json",
        ),
        (
            "kubernetes",
            "aks",
            {
                "region": "westeurope",
                "tenant_id": "5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90",
                "issuer_id": "8c1d2e3f-4a5b-6c7d-8e9f-0a1b2c3d4e5f",
            },
            "https://westeurope.oic.prod-aks.azure.com/5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90/"
            "8c1d2e3f-4a5b-6c7d-8e9f-0a1b2c3d4e5f/",
            "https://westeurope.oic.prod-aks.azure.com/5f0a1b52-7c44-4e6b-9d0f-3c1f2a7b8e90/"
            "8c1d2e3f-4a5b-6c7d-8e9f-0a1b2c3d4e5f/openid/v1/jwks",
        ),
        (
            "keycloak",
            "auth-realm",
            {"base": "sso.example.com", "realm": "ci"},
            "https://sso.example.com/auth/realms/ci",
            "https://sso.example.com/auth/realms/ci/protocol/openid-connect/certs",
        ),
        (
            "google",
            "self-signed",
            {"email": "bot@acme.iam.gserviceaccount.com"},
            "bot@acme.iam.gserviceaccount.com",
            "https://www.googleapis.com/service_accounts/v1/jwk/bot@acme.iam.gserviceaccount.com",
        ),
    ],
)
def test_slashes_are_where_the_provider_has_them(name, form, parts, issuer, jwks_url):
    place = fill(get_preset(name), parts, form=form)
    assert (place.issuer, place.jwks_url) == (issuer, jwks_url)


def test_presets_are_found_by_name():
    assert find_preset("gitlab") is PRESETS["gitlab"] is get_preset("gitlab")
    assert find_preset(None) is find_preset("nobody") is None
    with pytest.raises(InputInvalid, match="There is no preset nobody; presets are github-actions, gitlab, "):
        get_preset("nobody")


@EVERY_PRESET
def test_every_preset_has_its_texts(preset):
    assert PRESETS[preset.name] is preset
    assert preset.issuers
    assert preset.bind
    assert len(preset.claims) == len(claim_kinds(preset))
    assert set(claim_kinds(preset).values()) <= CLAIM_KINDS.keys()
    sentences = [preset.audience_advice, preset.subject_advice, *preset.traps, *(c.says for c in preset.claims)]
    assert not [text for text in sentences if not text.endswith((".", "…")) or "  " in text]
    assert all(name in PLACEHOLDERS for form in preset.issuers for name in form.placeholders)


@EVERY_PRESET
def test_what_is_bound_on_is_described_and_never_another_in_each_run(preset):
    kinds = claim_kinds(preset)
    assert {kinds[name] for name in preset.bind} <= {"immutable", "renamable"}


@EVERY_PRESET
def test_shared_issuers_and_only_they_have_mandatory_pins(preset):
    assert bool(preset.pins) == any(form.is_shared for form in preset.issuers)
    # The subject proves something in one of its shapes only.
    assert all(claim_kinds(preset)[pin.claim] == "immutable" for pin in preset.pins if pin.claim != "sub")


def test_every_placeholder_is_used_and_admits_its_example():
    used = {name for _, form in EVERY_PLACE for name in form.placeholders}
    assert used == PLACEHOLDERS.keys()
    assert all(place.admits(place.example) for place in PLACEHOLDERS.values())
