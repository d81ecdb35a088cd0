"""The claims of a token on a page: their stability, and which of them can be pinned."""

import json

from changegate.console.integrations.claim_pins import MAX_CLAIMS_SHOWN, ClaimLine, list_claims
from changegate.schemas.presets import PRESETS

KUBERNETES = PRESETS["kubernetes"]
CLAIMS = {
    "iss": "https://k8s.example.com",
    "jti": "1",
    "sub": "system:serviceaccount:deploy:release",
    "kubernetes.io": {
        "namespace": "deploy",
        "serviceaccount": {"name": "release", "uid": "0184990a"},
        "pod": {"uid": "7"},
    },
    "/odd~name": "x",
    "empty": {},
    "color": "blue",
}


def lines(**claims: object) -> dict[str, ClaimLine]:
    """Return the claims of a Kubernetes token by name."""
    return {line.name: line for line in list_claims({**CLAIMS, **claims}, KUBERNETES)}


def test_names_claims_as_conditions_do() -> None:
    assert set(lines()) == {
        *("iss", "jti", "sub", "color", "empty", "/~1odd~0name"),
        *("/kubernetes.io/namespace", "/kubernetes.io/serviceaccount/name", "/kubernetes.io/serviceaccount/uid"),
        "/kubernetes.io/pod/uid",
    }


def test_shows_the_stability_of_a_claim() -> None:
    kinds = {name: line.kind for name, line in lines().items()}
    assert kinds["/kubernetes.io/serviceaccount/uid"] == "immutable"
    assert kinds["sub"] == "renamable"
    assert kinds["/kubernetes.io/pod/uid"] == kinds["jti"] == "run-specific"
    assert (kinds["iss"], kinds["color"]) == ("checked", "unknown")


def test_lists_immutable_claims_first() -> None:
    assert next(iter(lines())) == "/kubernetes.io/serviceaccount/uid"


def test_offers_no_pin_on_claims_that_change_with_each_run_or_have_a_rule() -> None:
    found = lines()
    assert [name for name in found if found[name].can_be_pinned] == [
        *("/kubernetes.io/serviceaccount/uid", "sub", "/kubernetes.io/namespace", "/kubernetes.io/serviceaccount/name"),
        *("/~1odd~0name", "color"),
    ]


def test_one_click_constrains_to_immutable_claims_and_watches_unknown_ones_of_unknown_providers() -> None:
    found = lines()
    assert [name for name in found if found[name].can_be_constrained(True)] == ["/kubernetes.io/serviceaccount/uid"]
    assert found["color"].can_be_constrained(False)
    assert not found["sub"].can_be_constrained(False)


def test_without_a_provider_only_standard_claims_have_a_kind() -> None:
    kinds = {line.name: line.kind for line in list_claims({"sub": "x", "run_id": "7", "aud": "y"}, None)}
    assert kinds == {"sub": "unknown", "run_id": "run-specific", "aud": "checked"}


def test_shows_the_type_of_a_value() -> None:
    assert (lines(color="1")["color"].shown, lines(color=1)["color"].shown) == ('"1"', "1")


def test_a_pin_carries_claim_and_value() -> None:
    assert json.loads(lines()["sub"].pin.removeprefix("pin ")) == {"claim": "sub", "value": CLAIMS["sub"]}


def test_limits_the_number_of_claims_shown() -> None:
    assert len(list_claims({"many": {str(number): number for number in range(1000)}}, None)) == MAX_CLAIMS_SHOWN
