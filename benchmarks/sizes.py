"""The bytes of an exchange, an old exchange, and a change in the database, with their indexes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from urllib.parse import urlsplit

from sqlalchemy import create_engine, text

from benchmarks.bounds import Bound
from benchmarks.cases import JSON, ServedSite
from benchmarks.errors import BenchFailed
from benchmarks.exchanges import FORM
from benchmarks.product import CHANGE_PATH, TOKEN_PATH, bearer, change_body
from benchmarks.query_times import app_of
from benchmarks.signing import Signer
from changegate.database import commit
from changegate.extensions import db
from changegate.services.oauth.events import thin_reports
from changegate.services.oauth.exchange_figures import count_exchanges

# So many that pages that the database allocates in advance do not matter.
COUNT = 4000
USED_BYTES = {
    "sqlite": "SELECT (page_count - freelist_count) * page_size"
    " FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    "postgresql": "SELECT pg_database_size(current_database())",
}
OLD_BYTES = {
    "sqlite": "SELECT sum(pgsize) FROM dbstat"
    " JOIN sqlite_schema USING (name) WHERE tbl_name = 'oauth_thinned_exchange'",
    "postgresql": "SELECT pg_total_relation_size('oauth_thinned_exchange')",
}
REPORT_DAYS = 30


@dataclass(frozen=True)
class Sizes:
    """An instance with many rows, so that new rows fall into pages as they do in use."""

    site: ServedSite
    database_url: str
    signer: Signer

    def bounds(self, count: int = COUNT) -> Sequence[Bound]:
        """Return by how many bytes the database grows for each of so many exchanges and creations."""
        forms = [self.site.instance.token_form(self.signer.sign("RS256")) for _ in range(count)]
        bodies = [change_body(number) for number in range(count)]
        headers = dict((bearer(self.site.token), *JSON))
        begun = datetime.now(UTC)
        return [
            self._grown("bytes of an exchange", lambda: self._send(TOKEN_PATH, forms, dict([FORM])), count),
            self._grown("bytes of a change", lambda: self._send(CHANGE_PATH, bodies, headers), count),
            Bound("bytes of an exchange without its report", self._thin(begun) / count),
        ]

    def _grown(self, name: str, send: Callable[[], None], count: int) -> Bound:
        before = self._used()
        send()
        return Bound(name, (self._used() - before) / count)

    def _thin(self, begun: datetime) -> float:
        """Delete the reports of exchanges since a time, as if they were a month old; return the bytes that remain."""
        app = app_of(self.site.instance)
        kept = {"report_retention_days": REPORT_DAYS, "event_retention_days": REPORT_DAYS + 1}
        app.config["SETTINGS"] = replace(app.config["SETTINGS"], **kept)
        with app.app_context():
            at, more = begun + timedelta(days=REPORT_DAYS + 1), True
            count_exchanges(at)
            while more:
                more = thin_reports(at)
                commit()
            db.engine.dispose()
        return self._used(OLD_BYTES)

    def _used(self, statements: Mapping[str, str] = USED_BYTES) -> float:
        engine = create_engine(self.database_url)
        with engine.connect() as connection:
            used = float(connection.execute(text(statements[engine.dialect.name])).scalar_one())
        engine.dispose()
        return used

    def _send(self, path: str, bodies: Sequence[str], headers: dict[str, str]) -> None:
        with closing(HTTPConnection(urlsplit(self.site.server.base_url).netloc)) as connection:
            for body in bodies:
                connection.request("POST", path, body, headers)
                answer = connection.getresponse()
                said = answer.read()
                if answer.status not in {200, 201}:
                    raise BenchFailed(f"POST {path} answered {answer.status}: {said[:300]!r}")
