"""A browser without scripts: it opens pages, fills in their forms and sends them with their token."""

from collections.abc import Mapping
from html.parser import HTMLParser

from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

Changes = Mapping[str, str | list[str] | None]


class FormReader(HTMLParser):
    """Reads what the forms of a page would send as they stand, by form id, or by action for one without."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, MultiDict[str, str]] = {}
        self.actions: dict[str, str] = {}
        self._form: MultiDict[str, str] = MultiDict()
        self._field = ""
        self._is_first_option = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        name = found.get("name", "")
        if tag == "form":
            key = found.get("id") or found["action"]
            self.actions[key] = found["action"]
            self._form = self.forms.setdefault(key, MultiDict())
        elif tag == "input" and name and (found.get("type") not in {"checkbox", "radio"} or "checked" in found):
            self._form.add(name, found.get("value", ""))
        elif tag in {"textarea", "select"}:
            self._field = name
            self._form.add(name, "")
            self._is_first_option = True
        elif tag == "option" and self._field and ("selected" in found or self._is_first_option):
            self._replace_last(found.get("value", ""))
            self._is_first_option = False

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            # Browsers send every line break as CRLF (HTML, "constructing an entry list").
            self._replace_last("\r\n".join(self._form.getlist(self._field)[-1].splitlines()))
        if tag in {"textarea", "select"}:
            self._field = ""

    def handle_data(self, data: str) -> None:
        if self._field and self.lasttag == "textarea":
            self._replace_last(self._form.getlist(self._field)[-1] + data.removeprefix("\n"))

    def _replace_last(self, text: str) -> None:
        # A form may have several fields of one name, as rows do.
        self._form.setlist(self._field, [*self._form.getlist(self._field)[:-1], text])


def forms_of(page: TestResponse) -> FormReader:
    """Return the forms of a page."""
    reader = FormReader()
    reader.feed(page.text)
    return reader


class Visitor:
    """Somebody in front of a browser."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def open(self, path: str) -> TestResponse:
        """Open a page."""
        return self.client.get(path, buffered=True)

    def send(self, page: TestResponse, form: str, changes: Changes | None = None) -> TestResponse:
        """Send a form of a page with some fields changed; None unticks a box."""
        reader = forms_of(page)
        fields = reader.forms[form].copy()
        for name, value in (changes or {}).items():
            fields.setlist(name, [] if value is None else [value] if isinstance(value, str) else value)
        return self.client.post(reader.actions[form], data=fields)

    def sign_in(self, user_name: str, password: str, path: str = "/login") -> TestResponse:
        """Sign in from the login page."""
        return self.send(self.open(path), "/login", {"user_name": user_name, "password": password})
