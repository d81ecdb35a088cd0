"""The requests of Ansible's servicenow.itsm, byte for byte, and answers read as its client reads them."""

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPResponse
from pathlib import Path
from socket import create_connection
from string import Template
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

TIMEOUT_SECONDS = 60
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """What the client keeps of an answer: status, bytes, and headers by their names in small letters."""

    status: int
    data: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def record(self) -> dict[str, Any]:
        """The result, or the only record of a list."""
        result = self.json["result"]
        if isinstance(result, list):
            [result] = result
        found: dict[str, Any] = result
        return found


@dataclass(frozen=True)
class Step:
    """One request of a module, and what the module needs of the answer.

    `$name` in the request stands for what an earlier step kept; `keep` maps such names to fields of this result.
    """

    request: str
    body: str | bytes | None = None
    status: int = 200
    result: Mapping[str, Any] | list[Any] | None = None
    keep: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    # The person who sends it in the place of the module, with the password of the module's user.
    person: str | None = None


@dataclass
class AnsibleClient:
    """A client of one instance with a user's password."""

    url: str
    ca: Path
    user: str
    password: str

    def send(self, method: str, target: str, body: bytes | None = None, content_type: str = JSON) -> Answer:
        """Send one request as urllib writes it for Ansible: a connection of its own, headers in this order."""
        place = urlsplit(self.url)
        headers = {"Accept-Encoding": "identity"}
        if body is not None:
            headers |= {"Content-Length": str(len(body))}
        headers |= {"Host": place.netloc, "Accept": JSON, "Authorization": self._authorization()}
        if body is not None:
            headers |= {"Content-Type": content_type}
        headers |= {"User-Agent": "ansible-httpget", "Connection": "close"}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        return self._exchange(place.hostname or "", place.port or 443, "\r\n".join(lines).encode() + (body or b""))

    def list_records(self, path: str, query: Mapping[str, str], batch: int = 1000) -> Iterator[dict[str, Any]]:
        """Read page after page until the offset reaches what x-total-count says."""
        offset, total = 0, 1
        while offset < total:
            paged = {**query, "sysparm_exclude_reference_link": "true"}
            paged |= {"sysparm_limit": str(batch), "sysparm_offset": str(offset)}
            answer = self.send("GET", f"{path}?{urlencode(paged)}")
            yield from answer.json["result"]
            total = int(answer.headers["x-total-count"])
            offset += batch

    def play(self, steps: list[Step], **known: str) -> dict[str, str]:
        """Send the requests of a module one after the other; answers what was kept."""
        kept = dict(known)
        for step in steps:
            method, _, target = Template(step.request).substitute(kept).partition(" ")
            client = replace(self, user=step.person) if step.person else self
            answer = client.send(method, target, _body(step, kept), step.content_type)
            assert answer.status == step.status, (step.request, answer.status, answer.data)
            _check_result(step, answer, kept)
            kept |= {name: answer.record[of] for name, of in step.keep.items()}
        return kept

    def _authorization(self) -> str:
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def _exchange(self, host: str, port: int, request: bytes) -> Answer:
        context = ssl.create_default_context(cafile=str(self.ca))
        with (
            create_connection((host, port), TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            secured.sendall(request)
            response = HTTPResponse(secured)
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, response.read(), headers)


def query_of(records_of: str, **query: str) -> str:
    """Return the request that looks records of a table up."""
    return f"GET /api/now/table/{records_of}?{_in_order(query)}&sysparm_exclude_reference_link=true{PAGE}"


PAGE = "&sysparm_limit=1000&sysparm_offset=0"


def _in_order(query: Mapping[str, str]) -> str:
    # A name to be substituted is left as it is: urlencode would hide its dollar sign.
    return "&".join(f"{name}={value if value.startswith('$') else quote_plus(value)}" for name, value in query.items())


def _body(step: Step, kept: Mapping[str, str]) -> bytes | None:
    if isinstance(step.body, str):
        return Template(step.body).substitute(kept).encode()
    return step.body


def _check_result(step: Step, answer: Answer, kept: Mapping[str, str]) -> None:
    if isinstance(step.result, list):
        assert answer.json["result"] == step.result, step.request
    elif step.result is not None:
        found = {name: answer.record.get(name) for name in step.result}
        wanted = {name: Template(value).substitute(kept) for name, value in step.result.items()}
        assert found == wanted, step.request
