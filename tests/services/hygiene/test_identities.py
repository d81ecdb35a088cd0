"""Machine identities: the users that automation acts as."""

from datetime import timedelta

from changegate.extensions import db
from changegate.models.oauth_exchange import instant_of, new_correlation_id
from changegate.services.hygiene.identities import MachineIdentity, identities_of
from changegate.services.hygiene.overview import get_overview
from changegate.services.hygiene.privileges import HIGH_PRIVILEGES, privileges_among
from changegate.services.hygiene.reading import read_all
from changegate.services.users.accounts import create_user
from tests.conftest import Clock
from tests.services.hygiene.conftest import KNOWN, HygieneDesk
from tests.support.token_desk import ROBOT


def identities(hygiene: HygieneDesk) -> dict[str, MachineIdentity]:
    db.session.rollback()
    return {one.account.user_name: one for one in identities_of(read_all(hygiene.clock()))}


def names(identity: MachineIdentity) -> list[str]:
    return [row.name for row in identity.integrations]


def test_an_account_that_an_integration_runs_as_is_one_before_it_is_used(hygiene: HygieneDesk) -> None:
    hygiene.desk.add_user("idle.bot", "itil")
    hygiene.register("Idle", run_as="idle.bot")
    found = identities(hygiene)
    assert found.keys() == {ROBOT, "idle.bot"}
    assert (names(found[ROBOT]), names(found["idle.bot"])) == (["Pipeline"], ["Idle"])
    assert (found[ROBOT].tokens, found["idle.bot"].tokens) == (1, 0)
    assert found[ROBOT].last_exchange_at is not None
    assert (found["idle.bot"].last_exchange_at, found["idle.bot"].last_call_at) == (None, None)


def test_a_user_that_a_token_acted_as_is_one_too(hygiene: HygieneDesk) -> None:
    create_user(user_name="jo", password=None, email="jo@example.com", name="Jo", roles=["itil"])
    db.session.commit()
    mapped = hygiene.register("Mapped", run_as=..., user_field="email")
    assert "jo" not in identities(hygiene)
    hygiene.exchange(mapped, sub="jo@example.com")
    jo = identities(hygiene)["jo"]
    assert (names(jo), jo.is_machine, jo.tokens) == (["Mapped"], False, 1)


def test_a_user_who_may_not_sign_in_is_one_without_an_integration(hygiene: HygieneDesk) -> None:
    hygiene.desk.add_user("batch", "itil", web_service_access_only=True)
    hygiene.desk.add_user("person", "itil")
    found = identities(hygiene)
    assert "person" not in found
    assert (names(found["batch"]), found["batch"].is_machine) == ([], True)


def test_a_disabled_integration_does_not_count_for_an_account(hygiene: HygieneDesk) -> None:
    hygiene.set(active=False)
    assert names(identities(hygiene)[ROBOT]) == []


def test_the_last_call_is_the_latest_change_that_was_created(hygiene: HygieneDesk) -> None:
    token = hygiene.exchange()
    assert identities(hygiene)[ROBOT].last_call_at is None
    hygiene.desk.call(token)
    called_at = identities(hygiene)[ROBOT].last_call_at
    assert called_at is not None
    assert abs(called_at - hygiene.clock()) < timedelta(minutes=1)


def test_tokens_are_counted_for_a_week(hygiene: HygieneDesk) -> None:
    hygiene.clock.advance(days=6)
    hygiene.exchange()
    assert identities(hygiene)[ROBOT].tokens == 2
    hygiene.clock.advance(days=2)
    assert identities(hygiene)[ROBOT].tokens == 1


def test_high_privileges_are_those_of_the_table_with_what_contains_them(hygiene: HygieneDesk) -> None:
    hygiene.desk.add_user("strong", "mi_admin", web_service_access_only=True)
    found = identities(hygiene)
    assert found["strong"].account.privileges == ("mi_admin", "oauth_admin")
    assert not found[ROBOT].is_privileged
    assert get_overview(hygiene.clock(), KNOWN).privileged_machine_accounts == 1
    assert privileges_among(["itil", "change_manager", "admin"]) == ("admin", "change_manager")
    assert all(privilege.reason for privilege in HIGH_PRIVILEGES.values())


def test_exchanges_are_in_the_history_as_they_come(hygiene: HygieneDesk) -> None:
    hygiene.desk.exchange(hygiene.integration, assertion=hygiene.desk.assertion(project="other"))
    overview = get_overview(hygiene.clock(), KNOWN)
    for history in (overview.hours, overview.days):
        assert sum(period.accepted for period in history.periods[-2:]) == 1
        assert sum(period.refused for period in history.periods[-2:]) == 1
        assert history.reasons == [("claim_condition_failed", 1)]


def test_a_correlation_id_says_when_it_was_made(clock: Clock) -> None:
    assert abs(instant_of(new_correlation_id(clock())) - clock()) < timedelta(seconds=1)
