"""Signing people in: the authorization code flow (OpenID Connect Core 1.0 §3.1) with PKCE (RFC 7636).

There is no password: a visitor chooses one of the people of `people.json`. Codes are in the memory of the
process.
"""

import hashlib
import json
import secrets
from base64 import b64decode
from binascii import Error
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlencode, urlsplit

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue
from jwt.utils import base64url_encode

from demo_idp.behaviors import BEHAVIORS
from demo_idp.orders import NO_DEVIATION, Deviation, TokenOrder
from demo_idp.origins import REFUSAL, is_sent_by_this_page
from demo_idp.page import HEADERS
from demo_idp.views import get_workbench

CODE_LIFETIME = timedelta(seconds=60)
MOST_CODES = 1000
PARAMETERS = ("response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge")
PEOPLE: tuple[Mapping[str, object], ...] = tuple(json.loads((Path(__file__).parent / "people.json").read_text("utf-8")))
# What may be wrong with the ID token, by name, with the label of the choice.
ATTACKS: Mapping[str, tuple[str, Deviation]] = {
    "wrong-nonce": ("Nonce of another sign-in", Deviation(claims={"nonce": "another"})),
    "other-party": ("Issued to another party (azp)", Deviation(claims={"azp": "another-client"})),
    **{
        name: (BEHAVIORS[name].label, BEHAVIORS[name].deviation or NO_DEVIATION)
        for name in (
            *("forged-key", "tampered", "embedded-key", "unsigned", "confused-algorithm", "wrong-issuer"),
            *("wrong-audience", "no-expiry", "foreign-key", "clock-ahead", "clock-behind", "long-lifetime"),
        )
    },
}

bp = Blueprint("sign_on", __name__)


@dataclass(frozen=True, slots=True, repr=False)
class Code:
    """What an authorization code stands for."""

    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    person: Mapping[str, object]
    deviation: Deviation
    expires_at: datetime


class Codes:
    """The codes that are not used yet."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._codes: OrderedDict[str, Code] = OrderedDict()

    def add(self, code: Code) -> str:
        """Keep a new code and return its text."""
        text = secrets.token_urlsafe(24)
        with self._lock:
            self._codes[text] = code
            while len(self._codes) > MOST_CODES:
                self._codes.popitem(last=False)
        return text

    def use(self, text: str) -> Code | None:
        """Return a code, which cannot be used again, or None."""
        with self._lock:
            return self._codes.pop(text, None)


_codes = Codes()


@bp.get("/authorize")
def authorize_view() -> ResponseReturnValue:
    """Show the people to choose from."""
    wanted = _read_request(request.args)
    page = render_template("authorize.html", wanted=wanted, people=PEOPLE, attacks=ATTACKS)
    # Browsers apply form-action to the redirect that answers the form, too.
    back = urlsplit(wanted["redirect_uri"])
    own = "form-action 'self'"
    policy = HEADERS["Content-Security-Policy"].replace(own, f"{own} {back.scheme}://{back.netloc}")
    return Response(page, headers={**HEADERS, "Content-Security-Policy": policy})


@bp.post("/authorize")
def choose_view() -> ResponseReturnValue:
    """Send the chosen person back with a code, or with an error if they canceled."""
    if not is_sent_by_this_page():
        abort(403, REFUSAL)
    wanted = _read_request(request.form)
    person = next((one for one in PEOPLE if one["sub"] == request.form.get("sub")), None)
    answer = {"state": wanted["state"], "iss": get_workbench().provider.issuer}
    if person is None:
        answer |= {"error": "access_denied", "error_description": "The person canceled the sign-in."}
    else:
        _, deviation = ATTACKS.get(request.form.get("attack", ""), ("", NO_DEVIATION))
        expires_at = get_workbench().provider.now() + CODE_LIFETIME
        asked = (wanted["client_id"], wanted["redirect_uri"], wanted["code_challenge"], wanted["nonce"] or None)
        answer["code"] = _codes.add(Code(*asked, person, deviation, expires_at))
    separator = "&" if "?" in wanted["redirect_uri"] else "?"
    return redirect(f"{wanted['redirect_uri']}{separator}{urlencode(answer)}", 303)


@bp.post("/token")
def token_view() -> ResponseReturnValue:
    """Exchange a code for an ID token; the client may have any secret, or none."""
    if request.form.get("grant_type") != "authorization_code":
        return _refuse("unsupported_grant_type", "Only authorization_code is supported.")
    code = _codes.use(request.form.get("code", ""))
    provider = get_workbench().provider
    if code is None or provider.now() > code.expires_at:
        return _refuse("invalid_grant", "The code is unknown, used, or expired.")
    if (_client_id(), request.form.get("redirect_uri")) != (code.client_id, code.redirect_uri):
        return _refuse("invalid_grant", "The code is for another client or redirect URI.")
    if _challenge_of(request.form.get("code_verifier", "")) != code.challenge:
        return _refuse("invalid_grant", "The code verifier does not fit (PKCE).")
    claims = {**code.person, "nonce": code.nonce}
    signed = provider.sign(TokenOrder(audience=code.client_id, claims=claims), code.deviation)
    kind = {"token_type": "Bearer", "expires_in": 300}
    answer = jsonify(access_token=secrets.token_urlsafe(24), id_token=signed.assertion, **kind)
    answer.cache_control.no_store = True
    return answer


@bp.get("/end-session")
def end_session_view() -> ResponseReturnValue:
    """Send a person who has logged out back; nobody has a session here."""
    return redirect(_require_of_changegate(request.args.get("post_logout_redirect_uri", "")))


def _read_request(sent: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of an authorization request; refuses one that must not be answered by a redirect."""
    wanted = {name: sent.get(name, "") for name in PARAMETERS}
    _require_of_changegate(wanted["redirect_uri"])
    if wanted["response_type"] != "code" or not wanted["client_id"] or "openid" not in wanted["scope"].split():
        abort(400, "Send response_type=code, a client_id, and a scope with openid.")
    if not wanted["code_challenge"] or sent.get("code_challenge_method", "S256") != "S256":
        abort(400, "Send a code_challenge with the method S256 (RFC 7636).")
    return wanted


def _require_of_changegate(url: str) -> str:
    if not url.startswith(f"{get_workbench().changegate.url}/"):
        abort(400, f"People are sent back to {get_workbench().changegate.url} only.")
    return url


def _client_id() -> str | None:
    """Return the client ID, as Basic (RFC 6749 §2.3.1) or in the form."""
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return request.form.get("client_id")
    try:
        return unquote(b64decode(sent, validate=True).decode().partition(":")[0])
    except (Error, ValueError):
        return None


def _challenge_of(verifier: str) -> str:
    return base64url_encode(hashlib.sha256(verifier.encode("utf-8", "replace")).digest()).decode()


def _refuse(error: str, description: str) -> ResponseReturnValue:
    return jsonify(error=error, error_description=description), 400
