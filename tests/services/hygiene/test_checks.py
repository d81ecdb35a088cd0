"""Each check: silent about an integration in good order, and heard about one that is not."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from changegate.extensions import db
from changegate.models import JwksCache, OAuthExchange, OAuthKeyAlert, SysUser, Task
from changegate.models.integration_choices import REUSABLE
from changegate.services.hygiene.assessment import ACCOUNT_CHECKS, INTEGRATION_CHECKS
from changegate.services.integrations.integrations import get_integration, rotate_secret
from changegate.services.integrations.key_blocking import block_key
from changegate.services.integrations.run_as import CREATOR_ROLE
from changegate.services.keys.key_timeline import list_keys
from changegate.services.tables.registry import get_table
from changegate.services.tables.writing.records import update_record
from changegate.services.users.accounts import create_user
from tests.guards.documents import DOCS
from tests.services.hygiene.conftest import CONDITION, HygieneDesk
from tests.support.certificates import certificate, pem
from tests.support.people import ROOT
from tests.support.token_desk import AUDIENCE, ISSUER, ROBOT

GITHUB = "https://token.actions.githubusercontent.com"
ANYTHING = {**CONDITION, "claim": "ref", "operator": "glob", "value": "*"}
REPORTING = {**CONDITION, "claim": "ref", "value": "main", "report_only": True}
SECRET = "correct-horse-battery-staple-0123456789"
Arrange = Callable[[HygieneDesk], None]


def set_user(user_name: str, **columns: Any) -> None:
    db.session.execute(update(SysUser).where(SysUser.user_name == user_name).values(columns))
    db.session.commit()


def columns(**values: Any) -> Arrange:
    return lambda hygiene: hygiene.set(**values)


def cache(**values: Any) -> Arrange:
    def write(hygiene: HygieneDesk) -> None:
        instants = {name: hygiene.clock() + age if isinstance(age, timedelta) else age for name, age in values.items()}
        db.session.execute(update(JwksCache).values(instants))
        db.session.commit()

    return write


def alert(kind: str) -> Arrange:
    def write(hygiene: HygieneDesk) -> None:
        row = {"alert_id": "1" * 32, "entity": hygiene.integration.sys_id, "kind": kind, "kid": "k1", "detail": ""}
        db.session.execute(insert(OAuthKeyAlert).values({**row, "happened_at": hygiene.clock() - timedelta(days=6)}))
        db.session.commit()

    return write


def with_certificate(days: int) -> Arrange:
    def register(hygiene: HygieneDesk) -> None:
        begins, ends = hygiene.clock() - timedelta(days=40), hygiene.clock() + timedelta(days=days)
        dated = pem(certificate(begins_at=begins, ends_at=ends))
        maps = [{"name": "Signer", "kid": "k1", "certificate": dated, "enforce_dates": True}]
        hygiene.register("Signed", key_source="certificates", jwks_url=..., verifier_maps=maps)

    return register


def shared_key(hygiene: HygieneDesk) -> None:
    maps = [{"name": "Signer", "kid": "k1", "shared_key": SECRET}]
    fields = {"key_source": "shared_key", "jwks_url": ..., "verifier_maps": maps, "algorithms": ["HS256"]}
    hygiene.register("Shared", **fields)


def neighbour(hygiene: HygieneDesk) -> None:
    hygiene.register("Other", claim_conditions=[])


def rival(hygiene: HygieneDesk) -> None:
    hygiene.register("Other", audiences=[AUDIENCE])


def unverified_email(hygiene: HygieneDesk) -> None:
    mapped = {"run_as": ..., "user_field": "email", "user_claim": "email", "require_email_verified": False}
    hygiene.register("People", type="id_token", **mapped)


def all_rights(hygiene: HygieneDesk) -> None:
    hygiene.register("Everything", scopes=["useraccount"])


def block(hygiene: HygieneDesk) -> None:
    [key] = list_keys(hygiene.integration.sys_id)
    block_key(get_integration(hygiene.integration.client_id), key.thumbprint, by="admin")
    db.session.commit()


def rotate(hygiene: HygieneDesk) -> None:
    rotate_secret(get_integration(hygiene.integration.client_id), by="admin", overlap=timedelta(hours=1))
    db.session.commit()


def without_owner(hygiene: HygieneDesk) -> None:
    hygiene.register("Nobody's", owner=None)


def with_account(*roles: str, password: str | None = None, **changes: Any) -> Arrange:
    def register(hygiene: HygieneDesk) -> None:
        user = create_user(user_name="machine", password=password, email=None, name=None, roles=list(roles))
        for name, value in changes.items():
            setattr(user, name, value)
        db.session.commit()
        hygiene.register("Other", run_as="machine")

    return register


def nothing(hygiene: HygieneDesk) -> None:
    """Time alone makes the difference."""


def due(days: int) -> Arrange:
    return lambda hygiene: hygiene.set(review_date=(hygiene.clock() + timedelta(days=days)).date())


def never_used(hygiene: HygieneDesk) -> None:
    hygiene.register("New")


def reused(hygiene: HygieneDesk) -> None:
    hygiene.set(replay_policy=REUSABLE)
    hygiene.exchange(jti="one of a kind")


def reused_without_jti(hygiene: HygieneDesk) -> None:
    hygiene.set(replay_policy=REUSABLE)
    hygiene.exchange(jti=...)


def reporting(ref: str) -> Arrange:
    def use(hygiene: HygieneDesk) -> None:
        hygiene.set(claim_conditions=[CONDITION, REPORTING], sys_updated_on=hygiene.clock() - timedelta(days=15))
        hygiene.exchange(ref=ref)

    return use


def of_type(connection_type: str, *, is_on: bool = True, **fields: Any) -> Arrange:
    def register(hygiene: HygieneDesk) -> None:
        config = hygiene.desk.app.config
        config["SETTINGS"] = replace(config["SETTINGS"], password_grant_enabled=is_on)
        hygiene.desk.register_as(connection_type, "Another", **hygiene.cared_for(), **fields)

    return register


def id_tokens(hygiene: HygieneDesk) -> None:
    trust = {"issuer": ISSUER, "jwks_url": hygiene.desk.jwks.url(), "run_as": ROBOT, "claim_conditions": [CONDITION]}
    of_type("id_token", max_assertion_lifetime_seconds=3601, **trust)(hygiene)


OLD = timedelta(days=-200)


def aged(**ages: timedelta | None) -> Arrange:
    return lambda hygiene: hygiene.set(**{name: hygiene.clock() + age if age else age for name, age in ages.items()})


# What is wrong, by the one code that says so.
FLAWS: dict[str, Arrange] = {
    "mistaken_value": columns(issuer=f"{ISSUER}/.well-known/jwks.json"),
    "no_condition": columns(preset="keycloak", claim_conditions=[]),
    "impossible_audience": lambda hygiene: hygiene.set(preset="entra-id", audiences=[hygiene.integration.client_id]),
    "audience_with_blanks": columns(audiences=["https://a b"]),
    "weak_binding": columns(issuer=GITHUB),
    "admits_everything": columns(claim_conditions=[ANYTHING]),
    "idle_condition": columns(claim_conditions=[CONDITION, ANYTHING]),
    "doubtful_conditions": columns(claim_conditions=[{**CONDITION, "claim": "project_path"}], preset="gitlab"),
    "shared_trust": neighbour,
    "shared_assertions": rival,
    "acts_as_administrator": columns(user_field="user_name", run_as=None, sys_updated_by="oscar"),
    "unverified_email": unverified_email,
    "reusable_assertions": reused,
    "wide_clock_skew": columns(clock_skew_seconds=121),
    "long_lived_tokens": columns(access_token_lifespan_seconds=3601),
    "all_rights": all_rights,
    "certificate_expired": with_certificate(-1),
    "certificate_expires": with_certificate(29),
    "private_key_published": alert("private_key_published"),
    "kid_reused": alert("same_kid_other_key"),
    "all_keys_replaced": alert("all_keys_replaced"),
    "shared_key": shared_key,
    "blocked_key_published": block,
    "keys_expired": cache(failures=3, error="no answer", fresh_until=-timedelta(hours=25)),
    "keys_stale": cache(fresh_until=-timedelta(hours=25)),
    "key_fetch_failing": cache(failures=3, error="no answer", fresh_until=-timedelta(hours=2)),
    "key_fetch_failed": cache(failures=1, error="no answer", failed_at=-timedelta(minutes=1)),
    "review_overdue": due(-1),
    "review_due": due(14),
    "owner_missing": without_owner,
    "password_grant": of_type("password"),
    "password_grant_off": of_type("password", is_on=False),
    "refresh_tokens": of_type("password", issue_refresh_tokens=True),
    "stored_secret": of_type("client_credentials", run_as=ROBOT),
    "long_id_tokens": id_tokens,
    "owner_gone": columns(owner="f" * 32),
    "run_as_may_not_create": with_account(web_service_access_only=True),
    "run_as_inactive": lambda _: set_user(ROBOT, active=False),
    "old_secret": aged(client_secret_created_at=OLD),
    "secret_of_unknown_age": aged(client_secret_created_at=None, sys_created_on=OLD),
    "two_secrets": rotate,
    "unused": nothing,
    "never_used": never_used,
    "report_only_met": reporting("main"),
    "report_only_unmet": reporting("fork"),
    "account_administers": with_account("oauth_admin", CREATOR_ROLE),
    "account_manages_changes": with_account("change_manager", CREATOR_ROLE),
    "account_idle": nothing,
    "account_signs_in": with_account(CREATOR_ROLE, password="itil itil itil"),
}
# Who gives refresh tokens does so by a grant that is another finding.
COME_TOGETHER = {"refresh_tokens": {"password_grant"}}
# What needs time to pass rather than something done.
WAITS = {"unused": 91, "never_used": 8, "account_idle": 101}


def test_every_check_is_tried() -> None:
    codes = [check.code for check in (*INTEGRATION_CHECKS, *ACCOUNT_CHECKS)]
    assert sorted(codes) == sorted(FLAWS)


def test_there_is_nothing_to_say_against_an_integration_in_good_order(hygiene: HygieneDesk) -> None:
    assert hygiene.assess().findings == []
    assert hygiene.assess().score == 100


def test_what_has_no_issuer_is_not_said_to_share_one_or_to_lack_conditions(hygiene: HygieneDesk) -> None:
    for name in ("One", "Two"):
        hygiene.desk.register_as("client_credentials", name, **hygiene.cared_for(), run_as=ROBOT)
    assert hygiene.codes() == {"stored_secret"}


def test_there_is_nothing_to_say_against_id_tokens_in_good_order(hygiene: HygieneDesk) -> None:
    trust = {"issuer": ISSUER, "jwks_url": hygiene.desk.jwks.url(), "run_as": ROBOT, "claim_conditions": [CONDITION]}
    hygiene.desk.register_as("id_token", "Portal", **hygiene.cared_for(), **trust)
    assert hygiene.assess().findings == []


@pytest.mark.parametrize("code", [code for code in FLAWS if code not in WAITS])
def test_a_flaw_is_found_and_no_other(hygiene: HygieneDesk, code: str) -> None:
    FLAWS[code](hygiene)
    assert hygiene.codes() == {code} | COME_TOGETHER.get(code, set())


@pytest.mark.parametrize(("code", "days"), WAITS.items())
def test_a_flaw_that_comes_with_time_is_found_when_it_is_one(hygiene: HygieneDesk, code: str, days: int) -> None:
    FLAWS[code](hygiene)
    assert not hygiene.found(code, days=days - 1, hours=-1)
    assert hygiene.found(code, days=days)


# Each is just within bounds; what is on one line does not get in the way of what stands beside it.
@pytest.mark.parametrize(
    "arrangements",
    [
        [columns(clock_skew_seconds=120, access_token_lifespan_seconds=3600), due(15), with_certificate(31)],
        [aged(client_secret_created_at=timedelta(days=-179)), cache(fresh_until=-timedelta(hours=23))],
        [aged(sys_created_on=timedelta(days=-170), client_secret_created_at=None), reused_without_jti],
        [aged(client_secret_created_at=OLD, client_secret_hash=None)],
        [columns(claim_conditions=[CONDITION, REPORTING])],
        [with_account("itil", password="itil itil itil", web_service_access_only=True)],
        [columns(active=False, issuer=GITHUB, owner=None)],
        [aged(client_secret_created_at=OLD), columns(public_client=True)],
        [cache(failures=9, fetched_at=None), columns(jwks_url="https://other.example.com/jwks.json")],
    ],
)
def test_values_within_bounds_cause_no_finding(hygiene: HygieneDesk, arrangements: list[Arrange]) -> None:
    for arrange in arrangements:
        arrange(hygiene)
    assert hygiene.codes() == set()


def test_an_administrator_who_was_renamed_is_still_one(hygiene: HygieneDesk) -> None:
    hygiene.set(user_field="user_name", run_as=None, sys_updated_by="admin")
    update_record(get_table("sys_user"), ROOT, ROOT.sys_id, {"user_name": "root"})
    db.session.commit()
    assert hygiene.found("acts_as_administrator") == []


def test_an_alert_is_reported_for_a_week(hygiene: HygieneDesk) -> None:
    alert("same_kid_other_key")(hygiene)
    assert hygiene.found("kid_reused", hours=23)
    assert not hygiene.found("kid_reused", hours=25)


def test_locked_out_and_deleted_owners_are_distinguished(hygiene: HygieneDesk) -> None:
    set_user("admin", locked_out=True)
    assert [one.sentence for one in hygiene.found("owner_gone")] == ["Its owner admin is locked out."]
    hygiene.set(owner="f" * 32)
    assert [one.sentence for one in hygiene.found("owner_gone")] == ["Its owner was deleted."]


def test_keys_that_were_never_fetched_are_reported_at_once(hygiene: HygieneDesk) -> None:
    cache(fetched_at=None, fresh_until=None, failures=2, error="no\n answer")(hygiene)
    [finding] = hygiene.found("key_fetch_failing")
    assert finding.sentence == "Its keys have never been fetched (2 attempts). no answer"


def test_a_condition_that_reports_has_to_have_done_so_for_two_weeks(hygiene: HygieneDesk) -> None:
    hygiene.set(claim_conditions=[CONDITION, REPORTING], sys_updated_on=hygiene.clock() - timedelta(days=13))
    hygiene.exchange(ref="main")
    assert not hygiene.found("report_only_met")
    [finding] = hygiene.found("report_only_met", days=1, minutes=1)
    assert finding.sentence == (
        "Its report-only conditions (ref) would have refused none of the 2 exchanges of the last 14 days."
    )
    assert not hygiene.found("report_only_met", days=15)


def test_an_integration_is_in_use_as_long_as_changes_come_from_it(hygiene: HygieneDesk) -> None:
    token = hygiene.exchange()
    assert hygiene.desk.call(token).status_code == 201
    db.session.execute(delete(OAuthExchange))
    db.session.execute(update(Task).values(sys_created_on=hygiene.clock() - timedelta(days=50)))
    db.session.commit()
    assert not hygiene.found("unused", days=39)
    [finding] = hygiene.found("unused", days=41)
    assert f"{hygiene.clock() - timedelta(days=50):%Y-%m-%d}" in finding.sentence


def test_a_person_whom_tokens_are_mapped_to_is_no_machine_account(hygiene: HygieneDesk) -> None:
    person = create_user(user_name="jo", password="itil itil itil", email="jo@example.com", name=None, roles=[])
    db.session.commit()
    mapped = hygiene.register("Mapped", run_as=..., user_field="email")
    hygiene.exchange(mapped, sub=person.email)
    assert hygiene.codes() == set()
    assert not [one for one in hygiene.assess(days=101).findings if one.subject == "jo"]


def test_says_which_account_holds_what_and_where_to_go(hygiene: HygieneDesk) -> None:
    with_account("mi_admin")(hygiene)
    [finding] = hygiene.found("account_administers")
    assert (finding.severity, finding.subject_type, finding.subject) == ("high", "account", "machine")
    assert finding.target == "identities/machine#roles"
    assert finding.sentence == (
        "Tokens of Other act as machine, who can trust any identity provider, for any user "
        "(role mi_admin, oauth_admin)."
    )


def test_every_finding_says_what_to_do_and_where(hygiene: HygieneDesk) -> None:
    for code in ("wide_clock_skew", "owner_gone", "two_secrets", "blocked_key_published"):
        FLAWS[code](hygiene)
    client_id = hygiene.integration.client_id
    found = hygiene.assess().findings
    assert {one.target.partition("#")[0] for one in found} == {f"integrations/{client_id}"}
    assert {one.target.partition("#")[2] for one in found} == {"clock_skew_seconds", "owner", "secret", "keys"}
    assert {(one.subject, one.name) for one in found} == {(client_id, "Pipeline")}
    assert all(one.sentence.endswith(".") and one.remedy.endswith(".") for one in found)


def test_the_page_lists_every_check_with_its_severity() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (DOCS / "hygiene.md").read_text(), re.MULTILINE)
    assert rows == [(check.code, check.severity) for check in (*INTEGRATION_CHECKS, *ACCOUNT_CHECKS)]
