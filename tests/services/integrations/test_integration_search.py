"""The search of integrations, on both databases."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import delete

from changegate.extensions import db
from changegate.models import SysUser
from changegate.services.integrations.integration_search import LATEST, search_integrations
from changegate.services.integrations.integrations import set_active
from changegate.services.users.accounts import create_user
from tests.conftest import Clock
from tests.support.token_desk import TokenDesk, token_desk

PAGE = 10
KEYS = {"jwks_url": "https://ci.example.com/jwks.json"}


@pytest.fixture
def desk(either_app: Flask) -> Iterator[TokenDesk]:
    """Return a desk with four integrations, of which two have been used."""
    # Events of the same millisecond have no order.
    clock = Clock()
    either_app.config["CLOCK"] = clock
    with token_desk(either_app) as opened:
        with either_app.app_context():
            create_user(user_name="ada", password=None, email=None, name="Ada Lovelace", roles=[])
            create_user(user_name="zoe", password=None, email=None, name="Zoe", roles=[])
            db.session.commit()
        first = opened.register("beta", owner="zoe", review_date="2031-01-01", provider_name="CI 100%", **KEYS)
        opened.register("Alpha", owner="ada", review_date="2030-01-01", issuer="https://gitlab.example.com", **KEYS)
        opened.register_as("client_credentials", "gamma", run_as="release.bot", provider_name="ci")
        last = opened.register("Delta", provider_name="Other", **KEYS)
        with either_app.app_context():
            [[gamma], _] = search_integrations("gamma", limit=1)
            set_active(gamma, False, by="admin")
            db.session.commit()
        for integration in (last, first):
            clock.advance(seconds=1)
            opened.exchange(integration, assertion="x")
        yield opened


def names(desk: TokenDesk, text: str = "", is_active: bool | None = None, sort: str = "name", **page: int) -> list[str]:
    with desk.app.app_context():
        found, total = search_integrations(text, is_active, sort=sort, **{"limit": PAGE} | page)
        assert total >= len(found)
        return [entity.name for entity in found]


def reversed_names(desk: TokenDesk, sort: str) -> list[str]:
    with desk.app.app_context():
        return [entity.name for entity in search_integrations(sort=sort, is_descending=True, limit=PAGE)[0]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ALPH", ["Alpha"]),
        ("100%", ["beta"]),
        ("%", ["beta"]),
        ("gitlab.example", ["Alpha"]),
        ("lovelace", ["Alpha"]),
        ("zoe", ["beta"]),
        ("nothing of the kind", []),
        ("", ["Alpha", "beta", "Delta", "gamma"]),
    ],
)
def test_searches_name_provider_issuer_and_owner(desk: TokenDesk, text: str, found: list[str]) -> None:
    assert names(desk, text) == found


def test_searches_the_client_id(desk: TokenDesk) -> None:
    with desk.app.app_context():
        client_id = search_integrations("Alpha", limit=1)[0][0].client_id
    assert names(desk, client_id[4:20].upper()) == ["Alpha"]


def test_filters_by_status(desk: TokenDesk) -> None:
    assert names(desk, is_active=False) == ["gamma"]
    assert names(desk, is_active=True) == ["Alpha", "beta", "Delta"]
    assert names(desk, "ci", is_active=False) == ["gamma"]


@pytest.mark.parametrize(
    ("sort", "ascending", "descending"),
    [
        ("name", ["Alpha", "beta", "Delta", "gamma"], ["gamma", "Delta", "beta", "Alpha"]),
        ("type", ["gamma", "Alpha", "beta", "Delta"], ["Alpha", "beta", "Delta", "gamma"]),
        ("provider_name", ["gamma", "beta", "Alpha", "Delta"], ["Delta", "Alpha", "beta", "gamma"]),
        ("active", ["gamma", "Alpha", "beta", "Delta"], ["Alpha", "beta", "Delta", "gamma"]),
        ("owner", ["Alpha", "beta", "Delta", "gamma"], ["beta", "Alpha", "Delta", "gamma"]),
        ("review_date", ["Alpha", "beta", "Delta", "gamma"], ["beta", "Alpha", "Delta", "gamma"]),
        (LATEST, ["Delta", "beta", "Alpha", "gamma"], ["beta", "Delta", "Alpha", "gamma"]),
    ],
)
def test_sorts_by_each_column_with_blank_ones_last(
    desk: TokenDesk, sort: str, ascending: list[str], descending: list[str]
) -> None:
    assert (names(desk, sort=sort), reversed_names(desk, sort)) == (ascending, descending)


def test_a_page_is_part_of_the_order(desk: TokenDesk) -> None:
    assert names(desk, limit=2, offset=1) == ["beta", "Delta"]
    with desk.app.app_context():
        assert search_integrations(limit=1)[1] == 4


def test_an_owner_who_was_deleted_does_not_hide_the_integration(desk: TokenDesk) -> None:
    with desk.app.app_context():
        db.session.execute(delete(SysUser).where(SysUser.user_name == "zoe"))
        db.session.commit()
    assert names(desk, "beta") == ["beta"]
    assert names(desk, sort="owner") == ["Alpha", "beta", "Delta", "gamma"]
