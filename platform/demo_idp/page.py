"""The page: every behavior by button, without scripts."""

import json
from collections.abc import Mapping
from itertools import groupby

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError

from demo_idp.behaviors import BEHAVIORS
from demo_idp.errors import describe
from demo_idp.layouts import LAYOUTS
from demo_idp.origins import REFUSAL, is_sent_by_this_page
from demo_idp.request_body import read_form
from demo_idp.schemas import SendSchema
from demo_idp.signing_key import ALGORITHMS
from demo_idp.views import JWKS_PATH, get_workbench
from demo_idp.workbench import Workbench

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

bp = Blueprint("page", __name__)


@bp.get("/")
def show_view() -> ResponseReturnValue:
    """Show the page."""
    return _render(get_workbench())


@bp.post("/page/token")
def token_view() -> ResponseReturnValue:
    """Sign the token of the form, send it unless only signing was asked for, and return to the page."""
    _require_this_page()
    workbench = get_workbench()
    try:
        fields = read_form()
        is_only_signed = fields.pop("action", None) == "sign"
        wanted = SendSchema(workbench.audience).load(fields)
    except ValidationError as error:
        return _render(workbench, problem=describe(error), typed=request.form.to_dict()), 400
    workbench.remember(wanted.order, wanted.client)
    workbench.run(wanted.order, send=not is_only_signed)
    return redirect(url_for("page.show_view", _anchor="result"), 303)


@bp.post("/page/behaviors/<name>")
def behavior_view(name: str) -> ResponseReturnValue:
    """Perform a behavior with the last token and client, and return to the page."""
    _require_this_page()
    workbench = get_workbench()
    workbench.run(workbench.order, behavior=BEHAVIORS.get(name) or abort(404))
    return redirect(url_for("page.show_view", _anchor=name), 303)


def _require_this_page() -> None:
    # Forms, unlike JSON, are sent across origins without asking, so that the headers of the browser are required.
    if not is_sent_by_this_page():
        abort(403, REFUSAL)


def _render(workbench: Workbench, problem: str | None = None, typed: dict[str, str] | None = None) -> Response:
    page = render_template(
        "demo_idp.html",
        workbench=workbench,
        provider=workbench.provider,
        jwks_url=workbench.provider.issuer + JWKS_PATH,
        layouts=LAYOUTS.values(),
        algorithms=ALGORITHMS,
        groups=[(group, list(members)) for group, members in groupby(BEHAVIORS.values(), lambda one: one.group)],
        values=typed or _values(workbench),
        problem=problem,
        pretty=_pretty,
    )
    return Response(page, headers=HEADERS)


def _pretty(value: Mapping[str, object]) -> str:
    """Return JSON for people; half of a surrogate pair, which UTF-8 does not have, stays escaped."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _values(workbench: Workbench) -> dict[str, object]:
    """Return the values of the form: those of the last order and client, without the secret."""
    order = workbench.order
    return {
        "layout": order.layout.name,
        "aud": order.audience,
        "sub": order.subject or "",
        "alg": order.algorithm or "",
        "lifetime_seconds": int(order.lifetime.total_seconds()) if order.lifetime else "",
        "claims": json.dumps(order.claims, indent=2) if order.claims else "",
        "client_id": workbench.client.client_id,
    }
