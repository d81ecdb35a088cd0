"""Calls with tokens, introspection, and scopes that are limited to own records."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import create_engine, select, text, update

from benchmarks.cases import JSON, NEWEST_FIRST, PAGE_SIZE, Case, ServedSite
from benchmarks.errors import BenchFailed
from benchmarks.exchanges import FORM
from benchmarks.load import Traffic, write_feed
from benchmarks.product import (
    CHANGE_PATH,
    INTROSPECTION_PATH,
    Instance,
    bearer,
    change_body,
    get_token,
    list_path,
)
from benchmarks.signing import Signer
from changegate.models import OAuthEntity, Task

FORMATS = ("opaque", "jwt")
CREATE = "change_request.create"
READ = "change_request.read"
READ_OWN = "change_request.read_own"
UPDATE_OWN = "change_request.update_own"
EVERYTHING = "useraccount"
# As many as a group has.
OWN_CHANGES = 500
BODIES = 2000


@dataclass(frozen=True)
class ScopeSite:
    """A served instance with an integration for each set of scopes; all of them run as the same user."""

    site: ServedSite
    database_url: str
    jwks_url: str
    signer: Signer

    def cases(self) -> list[Case]:
        """Return the cases k, l, m, and n."""
        readers = {form: self._enroll(f"reads, {form}", READ, token_format=form) for form in FORMATS}
        return [
            *(self._call(form, instance) for form, instance in readers.items()),
            *(self._introspection(form, instance) for form, instance in readers.items()),
            self._create("unscoped", self._enroll("does everything", EVERYTHING)),
            self._create("scoped", self._enroll("creates", CREATE, READ_OWN, UPDATE_OWN)),
            *self._own_records(),
        ]

    def _enroll(self, name: str, *scopes: str, **fields: object) -> Instance:
        instance, base_url = self.site.instance, self.site.server.base_url
        return instance.enroll(base_url, f"Bench, {name}", self.jwks_url, scopes=scopes, **fields)

    def _token(self, instance: Instance) -> str:
        return get_token(self.site.server.base_url, instance, self.signer.sign("RS256"))

    def _call(self, form: str, instance: Instance) -> Case:
        paths = [f"{CHANGE_PATH}/{sys_id}" for sys_id in self.site.past.sys_ids]
        return self._get(f"k-{form}", f"GET one, {form} token", self._token(instance), paths)

    def _introspection(self, form: str, instance: Instance) -> Case:
        forms = write_feed(self.site.folder / f"l-{form}", [instance.introspection_form(self._token(instance))])
        ask = Traffic(method="POST", path=INTROSPECTION_PATH, headers=(FORM,), feed=forms)
        return Case(f"l-{form}", f"introspection, {form} token", self.site.server.base_url, lambda _: ask)

    def _create(self, name: str, instance: Instance) -> Case:
        bodies = write_feed(self.site.folder / f"m-{name}", [change_body(number) for number in range(BODIES)])
        headers = (bearer(self._token(instance)), *JSON)
        create = Traffic(method="POST", path=CHANGE_PATH, headers=headers, feed=bodies)
        return Case(f"m-{name}", f"POST one, {name} token", self.site.server.base_url, lambda _: create)

    def _own_records(self) -> list[Case]:
        # An integration that creates no changes: otherwise, the number of its own changes would grow.
        instance = self._enroll("reads its own", READ_OWN)
        own = self.site.past.sys_ids[:OWN_CHANGES]
        make_own(self.database_url, instance, own)
        token = self._token(instance)
        newest = NEWEST_FIRST.removeprefix("^")
        lists = {f"n-own-{limit}": (f"GET newest {limit} of own", limit) for limit in (1, PAGE_SIZE)}
        return [
            self._get("n-one", "GET one of own", token, [f"{CHANGE_PATH}/{sys_id}" for sys_id in own]),
            *(self._get(name, label, token, [list_path(newest, limit)]) for name, (label, limit) in lists.items()),
        ]

    def _get(self, name: str, label: str, token: str, paths: list[str]) -> Case:
        feed = write_feed(self.site.folder / name, paths)
        get = Traffic(method="GET", headers=(bearer(token), *JSON), feed=feed, feeds="path")
        return Case(name, label, self.site.server.base_url, lambda _: get)


def make_own(database_url: str, instance: Instance, sys_ids: Sequence[str]) -> None:
    """Make an integration the creator of changes. Raises `BenchFailed` if they do not exist."""
    entity = select(OAuthEntity.sys_id).where(OAuthEntity.client_id == instance.client_id).scalar_subquery()
    origin = {"oauth_entity": entity, "oauth_client_id": instance.client_id}
    engine = create_engine(database_url)
    with engine.begin() as connection:
        table = Task.__table__
        made = connection.execute(update(table).where(table.c.sys_id.in_(sys_ids)).values(origin))
    if engine.dialect.name == "postgresql":
        # As autovacuum does some minutes after rows were changed.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE task"))
    engine.dispose()
    if made.rowcount != len(sys_ids):
        raise BenchFailed("The changes that are to be an integration's own are not there.")
