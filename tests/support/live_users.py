"""People on live servers: added, given roles, signed in, all over HTTP."""

import re
import secrets
from dataclasses import dataclass, field

import requests

from tests.support.live_desk import CHANGES, TIMEOUT_SECONDS, administer
from tests.support.servers import Running

USERS = "/api/now/table/sys_user"
GRANTS = "/api/now/table/sys_user_has_role"
ROLES = "/api/now/table/sys_user_role"
CSRF_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class Person:
    """A user with a name of its own and a password; `session` is the browser's cookie."""

    sys_id: str
    user_name: str
    password: str
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def path(self) -> str:
        return f"{USERS}/{self.sys_id}"

    def call(self, server: Running, method: str = "GET") -> int:
        """List changes or create one, with name and password; return the status."""
        basic = (self.user_name, self.password)
        url, body = server.url + CHANGES, {} if method == "POST" else None
        return requests.request(method, url, json=body, auth=basic, timeout=TIMEOUT_SECONDS).status_code

    def sign_in(self, server: Running) -> None:
        """Log in to the console."""
        page = self.session.get(f"{server.url}/login", timeout=TIMEOUT_SECONDS).text
        found = CSRF_TOKEN.search(page)
        assert found, page
        form = {"csrf_token": found[1], "user_name": self.user_name, "password": self.password}
        answer = self.session.post(f"{server.url}/login", data=form, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        assert answer.status_code == 302, answer.text

    def is_signed_in(self, server: Running) -> bool:
        """Return whether the console shows a page, and not the way to the login."""
        answer = self.session.get(f"{server.url}/", timeout=TIMEOUT_SECONDS, allow_redirects=False)
        return answer.status_code == 200

    def grant(self, server: Running, role: str) -> str:
        """Give the person a role; return the path of what says so, by which it can be taken away."""
        [found] = administer(server, "GET", f"{ROLES}?sysparm_query=name={role}")
        granted = administer(server, "POST", GRANTS, user=self.sys_id, role=found["sys_id"])
        return f"{GRANTS}/{granted['sys_id']}"


def add_person(server: Running) -> Person:
    """Add a user without roles."""
    user_name, password = f"user.{secrets.token_hex(4)}", secrets.token_urlsafe(12)
    made = administer(server, "POST", USERS, user_name=user_name, user_password=password)
    return Person(made["sys_id"], user_name, password)
