"""Tokens in the layout of each provider, verified by the integration that its preset makes."""

import pytest

from changegate.schemas.claim_condition import ClaimConditionSchema
from changegate.schemas.presets import PRESETS, issuer_form, require_pins
from changegate.services.oauth.events import report_of
from tests.support.misbehaving_jwks import reply
from tests.support.provider_layouts import (
    AUTH0_RFC_9068,
    CIRCLECI,
    GITHUB,
    GITHUB_IMMUTABLE_SUBJECT,
    LAYOUTS,
)
from tests.support.token_desk import ROBOT

EVERY_LAYOUT = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))


def onboarded(desk, layout, **changes):
    """Register what the administrator would, with the provider's key set at the URL."""
    desk.jwks.answer = reply(layout.key_set)
    return desk.register(**{**layout.fields(desk.jwks.url()), "run_as": ROBOT, **changes})


def signed(desk, layout, changes=None, **head):
    return layout.sign(desk.app.config["CLOCK"](), changes, **head)


def refused(desk, integration, assertion):
    """Insist on a refusal and return the rules that failed."""
    answer = desk.exchange(integration, assertion=assertion)
    assert answer.get_json()["error"] == "invalid_grant"
    return {rule.rule: (rule.expected, rule.received) for rule in report_of(desk.last_event()) if not rule.passed}


@EVERY_LAYOUT
def test_a_token_of_the_provider_is_accepted_and_those_of_others_are_refused(desk, layout):
    integration = onboarded(desk, layout)
    created = desk.call(desk.token(integration, assertion=signed(desk, layout)))
    assert created.status_code == 201
    for name, (changes, rules) in layout.foreign.items():
        assert refused(desk, integration, signed(desk, layout, changes)).keys() == rules, name


@EVERY_LAYOUT
def test_the_conditions_are_enough_for_the_issuer_and_it_takes_one_where_it_is_shared(layout):
    fields = layout.fields("https://idp.example/jwks")
    conditions = ClaimConditionSchema(many=True).load(list(layout.conditions))
    is_shared = issuer_form(PRESETS[layout.preset], layout.place).is_shared
    assert not require_pins(layout.issuer, layout.preset, conditions, fields["audiences"])
    assert bool(require_pins(layout.issuer, None, [], fields["audiences"])) == is_shared


def test_every_preset_has_a_layout_and_every_layout_a_foreign_twin():
    assert {layout.preset for layout in LAYOUTS.values()} == PRESETS.keys()
    assert all(layout.foreign for layout in LAYOUTS.values())


def test_two_tenants_of_one_issuer_are_verified_by_their_own_integration_only(desk):
    theirs = {"repository_id": "2", "repository_owner_id": "1", "repository": "other/shop"}
    ours = onboarded(desk, GITHUB, name="ours")
    other = onboarded(desk, GITHUB, name="theirs", claim_conditions=["repository_id equals 2"])
    desk.token(other, assertion=signed(desk, GITHUB, theirs))
    desk.token(ours, assertion=signed(desk, GITHUB, {"jti": "another"}))
    assert "claim repository_id" in refused(desk, ours, signed(desk, GITHUB, theirs | {"jti": "third"}))
    assert refused(desk, other, signed(desk, GITHUB, {"jti": "fourth"})).keys() == {"claim repository_id"}


def test_a_rule_on_the_old_github_subject_does_not_match_the_new_one_and_the_event_shows_both(desk):
    old = "repo:acme/shop:environment:production"
    conditions = ["repository_id equals 613905472", f"sub equals {old}"]
    integration = onboarded(desk, GITHUB_IMMUTABLE_SUBJECT, claim_conditions=conditions)
    desk.token(integration, assertion=signed(desk, GITHUB_IMMUTABLE_SUBJECT, {"sub": old}))
    told = refused(desk, integration, signed(desk, GITHUB_IMMUTABLE_SUBJECT, {"jti": "another"}))
    [(expected, received)] = told.values()
    assert old in expected
    assert received == "repo:acme@9919/shop@613905472:environment:production"


def test_an_access_token_by_rfc_9068_needs_its_typ_to_be_asked_for(desk):
    integration = onboarded(desk, AUTH0_RFC_9068, required_typ=None)
    assert refused(desk, integration, signed(desk, AUTH0_RFC_9068)).keys() == {"typ"}
    strict = onboarded(desk, AUTH0_RFC_9068, name="strict")
    assert refused(desk, strict, signed(desk, AUTH0_RFC_9068, typ="JWT")).keys() == {"typ"}


@pytest.mark.parametrize("value", ["false", 0, None, ...])
def test_only_the_boolean_false_excludes_an_ssh_rerun(desk, value):
    integration = onboarded(desk, CIRCLECI)
    told = refused(desk, integration, signed(desk, CIRCLECI, {"oidc.circleci.com/ssh-rerun": value}))
    assert told.keys() == {"claim oidc.circleci.com/ssh-rerun"}
