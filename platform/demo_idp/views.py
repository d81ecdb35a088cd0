"""The provider's HTTP interface, without authentication: for demonstration only."""

import json

from flask import Blueprint, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from demo_idp.behaviors import BEHAVIORS
from demo_idp.layouts import LAYOUTS
from demo_idp.provider import Fault, IdentityProvider
from demo_idp.request_body import read_json_object
from demo_idp.schemas import BehaviorSchema, SendSchema, SignSchema
from demo_idp.signing_key import ALGORITHMS
from demo_idp.workbench import Result, Workbench

JWKS_PATH = "/.well-known/jwks.json"
JWKS_MAX_AGE_SECONDS = 60
AGENT_OF_CHANGEGATE = "changegate"
ISSUER_PATHS = {layout.issuer_path for layout in LAYOUTS.values()}

bp = Blueprint("demo_idp", __name__)


@bp.get(JWKS_PATH)
def show_key_set() -> ResponseReturnValue:
    """Return the key set, cacheable for a minute, with ETag; or what the current fault makes of it."""
    provider = get_workbench().provider
    fault = provider.fault
    response = _answer_key_set(provider, fault)
    if request.user_agent.string == AGENT_OF_CHANGEGATE:
        provider.note_fetch(response.status_code, fault)
    provider.wait_if_slow(fault)
    return response


def _answer_key_set(provider: IdentityProvider, fault: Fault) -> Response:
    if fault is Fault.DOWN:
        response = jsonify(error="service_unavailable", error_description="The key set is not available at the moment.")
        response.status_code = 503
        return response
    if fault is Fault.REDIRECT:
        return Response(status=302, headers={"Location": f"{provider.issuer}{JWKS_PATH}?moved"})
    document = json.dumps(provider.get_key_set())
    if fault is Fault.MALFORMED:
        document = document[: len(document) // 2]
    response = Response(document, content_type="application/json")
    response.cache_control.max_age = JWKS_MAX_AGE_SECONDS
    response.add_etag()
    response.make_conditional(request)
    return response


@bp.get("/.well-known/openid-configuration")
@bp.get("/<path:place>/.well-known/openid-configuration")
def show_metadata(place: str = "") -> ResponseReturnValue:
    """Return the provider metadata (OpenID Connect Discovery 1.0 §3), also for the issuer path of a layout."""
    path = f"/{place}" if place else ""
    if path not in ISSUER_PATHS:
        abort(404, "No layout has this issuer.")
    issuer = get_workbench().provider.issuer
    return jsonify(
        issuer=issuer + path,
        jwks_uri=issuer + JWKS_PATH,
        authorization_endpoint=f"{issuer}/authorize",
        token_endpoint=f"{issuer}/token",
        end_session_endpoint=f"{issuer}/end-session",
        response_types_supported=["code"],
        code_challenge_methods_supported=["S256"],
        token_endpoint_auth_methods_supported=["client_secret_basic", "client_secret_post", "none"],
        authorization_response_iss_parameter_supported=True,
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=list(ALGORITHMS),
    )


@bp.get("/layouts")
def list_layouts() -> ResponseReturnValue:
    """Return the layouts of tokens."""
    return jsonify(
        [{"name": layout.name, "label": layout.label, "preset": layout.preset} for layout in LAYOUTS.values()]
    )


@bp.get("/behaviors")
def list_behaviors() -> ResponseReturnValue:
    """Return the behaviors, with what Changegate must do about each."""
    return jsonify([behavior.describe() for behavior in BEHAVIORS.values()])


@bp.post("/sign")
def sign() -> ResponseReturnValue:
    """Return the ordered assertion."""
    workbench = get_workbench()
    wanted = SignSchema(workbench.audience).load(read_json_object())
    return describe_result(workbench.run(wanted.order, wanted.client, send=False))


@bp.post("/send")
def send() -> ResponseReturnValue:
    """Sign the ordered assertion, send it to Changegate, and return its answer."""
    workbench = get_workbench()
    wanted = SendSchema(workbench.audience).load(read_json_object())
    return describe_result(workbench.run(wanted.order, wanted.client))


@bp.post("/behaviors/<name>")
def perform(name: str) -> ResponseReturnValue:
    """Perform a behavior, sign an assertion with it, and send it if the body says so."""
    workbench = get_workbench()
    behavior = BEHAVIORS.get(name) or abort(404, f"There is no behavior {name}; GET /behaviors lists them.")
    wanted = BehaviorSchema(workbench.audience).load(read_json_object())
    result = workbench.run(wanted.order, wanted.client, behavior, send=wanted.send)
    return describe_result(result, behavior=behavior.describe(), **describe_state(workbench.provider))


@bp.get("/healthz")
def show_health() -> ResponseReturnValue:
    """Return that the process runs."""
    return jsonify(status="ok")


def get_workbench() -> Workbench:
    """Return the workbench of this app."""
    workbench: Workbench = current_app.extensions["workbench"]
    return workbench


def describe_result(result: Result, **more: object) -> Response:
    """Return a result as JSON that no cache keeps."""
    response = jsonify(
        assertion=result.signed.assertion,
        header=result.signed.header,
        claims=result.signed.claims,
        line=result.line,
        as_expected=result.is_as_expected,
        answers=[
            {"status": answer.status, "body": answer.body, "event": answer.event_url} for answer in result.answers
        ],
        **more,
    )
    response.cache_control.no_store = True
    return response


def describe_state(provider: IdentityProvider) -> dict[str, object]:
    """Return the fault, the signing kid by algorithm, and all published kids."""
    return {
        "fault": provider.fault,
        "signing": {algorithm: provider.keys.get_current(algorithm).kid for algorithm in ALGORITHMS},
        "published": [key.kid for key in provider.keys.published],
    }
