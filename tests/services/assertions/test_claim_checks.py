from datetime import timedelta
from typing import Any

import pytest

from changegate.services.assertions.claim_checks import MAX_TEXT_LENGTH, audiences_of, check_claims
from changegate.services.assertions.report import Report, RuleResult
from tests.support.forge import AUDIENCE, ISSUER, NOW, claims
from tests.support.trust import policy

SECONDS = int(NOW.timestamp())


def check(demands: dict[str, Any] | None = None, now: float = SECONDS, **changes: Any) -> Report:
    return Report(check_claims(claims(**changes), policy(**(demands or {})), now))


def result(report: Report, rule: str) -> RuleResult:
    return next(result for result in report.results if result.rule == rule)


def test_valid_claims_pass_every_rule() -> None:
    assert check().reason is None


def test_an_issuer_that_differs_by_a_slash_is_refused_with_advice() -> None:
    issuer = result(check(iss=ISSUER + "/"), "iss")
    assert (issuer.expected, issuer.received) == (ISSUER, ISSUER + "/")
    assert "slash" in str(issuer.hint)


@pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE]])
def test_an_audience_may_be_a_string_or_a_list_of_one(audience: object) -> None:
    assert check(aud=audience).reason is None


def test_every_accepted_audience_is_accepted() -> None:
    accepted = frozenset({AUDIENCE, "https://desk.example"})
    assert check({"audiences": accepted}, aud="https://desk.example").reason is None


def test_additional_audiences_pass_where_the_policy_allows_them() -> None:
    assert check({"allow_additional_audiences": True}, aud=["other", AUDIENCE]).reason is None


def test_a_foreign_audience_is_shown_with_the_expected_one() -> None:
    audience = result(check(aud=["x", "y"]), "aud")
    assert (audience.expected, audience.received) == (AUDIENCE, '["x", "y"]')


def test_an_audience_with_a_member_that_is_not_a_string_is_empty() -> None:
    assert audiences_of({"aud": [AUDIENCE, 1]}) == ()
    assert audiences_of({}) == ()


@pytest.mark.parametrize(
    ("skew", "expires", "reason"),
    [
        (0, SECONDS - 1, "expired"),
        (0, SECONDS, "expired"),
        (0, SECONDS + 1, None),
        (60, SECONDS - 60, "expired"),
        (60, SECONDS - 59, None),
    ],
)
def test_expiry_counts_the_skew_once(skew: int, expires: int, reason: str | None) -> None:
    report = check({"clock_skew": timedelta(seconds=skew)}, exp=expires, iat=SECONDS - 300)
    assert report.reason == reason


def test_expiry_is_compared_with_fractions_of_a_second() -> None:
    demands = {"clock_skew": timedelta(0)}
    assert check(demands, now=SECONDS + 299.9).reason is None
    assert check(demands, now=SECONDS + 300.1).reason == "expired"


@pytest.mark.parametrize(("ahead", "reason"), [(60, None), (61, "iat_invalid")])
def test_the_time_of_issue_may_be_ahead_by_the_skew(ahead: int, reason: str | None) -> None:
    assert check(iat=SECONDS + ahead).reason == reason


@pytest.mark.parametrize(("ahead", "reason"), [(60, None), (61, "not_yet_valid"), (-900, None)])
def test_the_start_of_validity_may_be_ahead_by_the_skew(ahead: int, reason: str | None) -> None:
    report = check(nbf=SECONDS + ahead)
    assert (report.reason, result(report, "nbf").reason) == (reason, reason)


@pytest.mark.parametrize(("length", "reason"), [(3600, None), (3601, "lifetime_too_long")])
def test_the_lifetime_is_capped(length: int, reason: str | None) -> None:
    report = check(exp=SECONDS + length)
    assert report.reason == reason
    lifetime = result(report, "lifetime")
    assert (lifetime.expected, lifetime.received) == ("at most 3600 seconds", f"{length} seconds")


def test_a_token_that_lasts_a_year_is_refused_with_its_lifetime() -> None:
    report = check(iat=SECONDS - 7200, exp=SECONDS - 7200 + 31_536_000)
    assert report.reason == "lifetime_too_long"
    assert result(report, "lifetime").received == "31536000 seconds"


def test_a_false_time_of_issue_does_not_extend_the_lifetime() -> None:
    assert check(iat=SECONDS + 86_000, exp=SECONDS + 86_400).reason == "iat_invalid"
    assert check(iat=0, exp=SECONDS + 300).reason == "lifetime_too_long"


def test_a_lifetime_without_any_time_is_unknown() -> None:
    report = check(exp=..., iat=...)
    assert (report.reason, result(report, "lifetime").reason) == ("exp_missing", "exp_missing")
    assert result(report, "lifetime").received == "unknown"


NO_TIMES = [True, "5", None, [], -1, float("nan"), float("inf"), 10**18, 253_402_300_800]


@pytest.mark.parametrize("value", NO_TIMES)
def test_a_time_that_is_not_a_valid_number_counts_as_missing(value: object) -> None:
    assert result(check(exp=value), "exp").reason == "exp_missing"
    assert check(iat=value).reason is not None
    assert check(nbf=value).reason == "not_yet_valid"


def test_the_last_second_of_the_year_9999_is_a_valid_time() -> None:
    assert check(exp=253_402_300_799).reason == "lifetime_too_long"


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("s" * MAX_TEXT_LENGTH, None),
        ("s" * (MAX_TEXT_LENGTH + 1), "payload_invalid"),
        ("", "payload_invalid"),
        (" s", "payload_invalid"),
        ("s\u200b", "payload_invalid"),
        (5, "payload_invalid"),
    ],
)
def test_a_subject_must_be_printable_and_at_most_255_characters(subject: object, reason: str | None) -> None:
    assert check(sub=subject).reason == reason


@pytest.mark.parametrize(
    ("audiences", "reason"),
    [(AUDIENCE, None), ([AUDIENCE], None), ("x", "aud_mismatch"), ([AUDIENCE, "x"], "aud_multiple")],
)
def test_a_claim_of_another_name_may_hold_the_audience(audiences: object, reason: str | None) -> None:
    for other in (..., AUDIENCE, "x"):
        assert check({"audience_claim": "client_id"}, aud=other, client_id=audiences).reason == reason


def test_times_are_shown_as_numbers_and_as_dates() -> None:
    expiry = result(check(exp=SECONDS - 900, iat=SECONDS - 1000), "exp")
    assert expiry.received == f"{SECONDS - 900} (2026-03-01 11:45:00 UTC)"
    assert expiry.expected == "a number, after 2026-03-01 11:59:00 UTC"
    assert result(check(exp="5"), "exp").received == "5"


def test_bounds_beyond_the_calendar_can_still_be_shown() -> None:
    demands = {"clock_skew": timedelta(days=999_999_999)}
    assert "9999-12-31" in str(result(check(demands), "nbf").expected)


def test_the_unique_claim_may_be_missing_where_it_is_not_required() -> None:
    assert check({"replay_policy": "once-if-present"}, jti=...).reason is None


def test_a_unique_claim_that_cannot_be_used_is_refused_though_not_required() -> None:
    assert check({"replay_policy": "once-if-present"}, jti=5).reason == "jti_missing"


def test_the_unique_claim_may_have_another_name() -> None:
    assert check({"jti_claim": "uti"}, jti=..., uti="x").reason is None
    assert check({"jti_claim": "uti"}).reason == "jti_missing"
    assert check({"jti_claim": "uti"}, jti=5, uti="x").reason == "jti_missing"


@pytest.mark.parametrize("claim", ["cnf", "act"])
def test_sender_constrained_and_delegated_tokens_are_refused(claim: str) -> None:
    report = check(**{claim: {}})
    assert report.reason == "payload_invalid"
    assert result(report, claim).received == "present"


def test_a_unique_claim_of_another_name_may_not_be_null() -> None:
    assert check({"jti_claim": "uti", "replay_policy": "once-if-present"}, uti=None).reason == "jti_missing"


@pytest.mark.parametrize(("ahead", "passed"), [(3660, True), (3661, False)])
def test_without_a_time_of_issue_the_remaining_lifetime_is_limited(ahead: int, passed: bool) -> None:
    assert result(check(iat=..., exp=SECONDS + ahead), "lifetime").passed is passed


@pytest.mark.parametrize(("ago", "passed"), [(3660, True), (3661, False)])
def test_the_time_of_issue_may_not_be_long_ago(ago: int, passed: bool) -> None:
    assert result(check(iat=SECONDS - ago), "iat").passed is passed
