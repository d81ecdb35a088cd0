"""The steps of the demo: each makes real HTTP requests and shows them with their responses."""

from collections.abc import Callable

import click
import requests

from changegate.cli.demo_requests import DemoFailed, DemoRun, DemoServers
from changegate.seed import REQUESTER, RUN_MARK
from changegate.services.oauth.jwt_bearer_grant import JWT_BEARER_GRANT

RUN_AS = "release.bot"
OWNER = "maria.keller"
AUDIENCE = "changegate-demo"
DISABLED_AUDIENCE = "changegate-demo-retired"
SUBJECT = "pipeline:shop/checkout:main"
INTEGRATION = "Demo pipeline"
DISABLED_INTEGRATION = "Demo pipeline, retired"
ASSIGNMENT_GROUP = "Web Platform"
# Who works on the change, the member of its group who approves it, and the member of CAB Approval.
ENGINEER, PEER, BOARD = "tom.okafor", "ines.duarte", "maria.keller"
INTEGRATIONS = (INTEGRATION, DISABLED_INTEGRATION)


def run_steps(servers: DemoServers) -> DemoRun:
    """Run all steps and return the run; raises `DemoFailed` with the name of the step."""
    run = DemoRun(servers)
    click.secho("Changegate: from an identity provider's key to a change request", bold=True, underline=True)
    for number, (title, act) in enumerate(STEPS, 1):
        run.begin(number, title)
        try:
            act(run)
        except (requests.RequestException, KeyError, ValueError, AttributeError) as problem:
            raise DemoFailed(f"The demo failed at {run.step}: {type(problem).__name__}: {problem}") from None
    return run


def print_links(run: DemoRun) -> None:
    """Print the addresses to open next, and how to sign in."""
    servers = run.servers
    page = run.page_of(INTEGRATION)
    click.secho("\nWhat to open", bold=True, underline=True)
    click.echo(f"Integration        {page}")
    click.echo(f"Run this           {page}/run")
    click.echo(f"Identity provider  {servers.idp_url}/")
    click.echo(f"Change requests    {servers.base_url}/change-requests")
    click.echo(f"Changes created    {', '.join(change['number'] for change in run.changes)}")
    click.echo(f"Sign in            {servers.admin} / {servers.password}")
    click.echo(f"As a person        {ENGINEER}, {PEER}, or {BOARD}, with the same password")
    click.echo(f"As a requester     {REQUESTER}, who has no role, with the same password")
    click.echo(f"Single sign-on     {servers.base_url}/login, Log in with Demo IdP")
    click.echo(f"Instance           {servers.folder}")
    if servers.ca:
        click.echo(f"CA                 {servers.ca}")
        click.echo(f"PySNC              set REQUESTS_CA_BUNDLE={servers.ca}, and run the snippet of Run this.")
        click.echo("                   Its own ServiceNowJWTAuth needs --port 443 and an integration with a secret.")


def _publish(run: DemoRun) -> None:
    jwks_url = f"{run.servers.idp_url}/.well-known/jwks.json"
    keys = run.call("GET", jwks_url, expected=200).json()["keys"]
    run.explain(f"The JWKS URL is {jwks_url}; it publishes {len(keys)} keys.")


def _register(run: DemoRun) -> None:
    if _save_integration(run, INTEGRATION, AUDIENCE):
        run.explain("Registered: no certificate was uploaded, no key was mapped, and there is no secret to store.")
    else:
        run.explain("An earlier run of the demo has registered it. It is used again.")


def _save_integration(run: DemoRun, name: str, audience: str) -> bool:
    """Register an integration, or give an existing one the values of the demo; return whether it is new."""
    fields = {
        "name": name,
        "provider_name": "Demo identity provider",
        "issuer": run.servers.idp_url,
        "jwks_url": f"{run.servers.idp_url}/.well-known/jwks.json",
        "audiences": [audience],
        "run_as": RUN_AS,
        "owner": OWNER,
        "public_client": True,
        "active": True,
    }
    known = {entry["name"]: entry["client_id"] for entry in run.administer("GET", "", expected=200)}
    if name in known:
        saved = run.administer("PUT", f"/{known[name]}", expected=200, json=fields, headers={"If-Match": "*"})
    else:
        saved = run.administer("POST", "", expected=201, json=fields)
    run.clients[name] = saved["client_id"]
    return name not in known


def _sign(run: DemoRun, audience: str = AUDIENCE) -> None:
    order = {"sub": SUBJECT, "aud": audience, "alg": "RS256"}
    signed = run.call("POST", f"{run.servers.idp_url}/sign", expected=200, json=order).json()
    run.assertion = signed["assertion"]
    run.explain(f"The identity provider signed an assertion for {SUBJECT}.")


def _exchange(run: DemoRun) -> None:
    run.token = _token_request(run, expected=200).json()["access_token"]
    run.explain("The access token may create change requests and do nothing else.")


def _token_request(run: DemoRun, expected: int, name: str = INTEGRATION) -> requests.Response:
    form = {"grant_type": JWT_BEARER_GRANT, "assertion": run.assertion, "client_id": run.clients[name]}
    return run.call("POST", f"{run.servers.base_url}/oauth_token.do", expected=expected, data=form)


def _create_change(run: DemoRun) -> None:
    fields = {
        "short_description": f"Deploy checkout, build {len(run.changes) + 1}",
        "type": "normal",
        "category": "Software",
        "assignment_group": ASSIGNMENT_GROUP,
        "implementation_plan": "Deploy to one node, watch it for ten minutes, then deploy to the others.",
        "correlation_display": RUN_MARK,
    }
    response = run.call("POST", run.api("change_request"), expected=201, json=fields, headers=run.bearer)
    change = response.json()["result"]
    run.changes.append({"number": change["number"], "sys_id": change["sys_id"]})
    run.explain(f"{change['number']} exists.")


def _try_what_is_forbidden(run: DemoRun) -> None:
    _token_request(run, expected=401)
    run.explain("An assertion can be exchanged only once: the second exchange is refused, in the words of ServiceNow.")
    run.call("GET", run.api("sys_user"), expected=403, headers=run.bearer)
    run.call(
        "DELETE",
        run.api(f"change_request/{run.changes[0]['sys_id']}"),
        expected=403,
        headers=run.bearer,
    )
    run.explain("The token's scope covers neither reading users nor deleting changes.")


def _rotate(run: DemoRun) -> None:
    run.call("POST", f"{run.servers.idp_url}/behaviors/rotate", expected=200)
    _sign(run)
    _exchange(run)
    _create_change(run)
    run.explain("Changegate automatically fetched and trusted a key that it had never seen.")
    run.explain(
        f"If the provider rotates again within {run.servers.cooldown_seconds} seconds, its new tokens are refused "
        "(kid_unknown) until this cooldown ends. “Refresh keys now” ends it at once:"
    )
    run.explain(f"{run.page_of(INTEGRATION)}/keys")


def _disable(run: DemoRun) -> None:
    _save_integration(run, DISABLED_INTEGRATION, DISABLED_AUDIENCE)
    _sign(run, DISABLED_AUDIENCE)
    run.token = _token_request(run, 200, DISABLED_INTEGRATION).json()["access_token"]
    run.administer("POST", f"/{run.clients[DISABLED_INTEGRATION]}/disable", expected=200)
    fields = {"short_description": "One too many"}
    run.call("POST", run.api("change_request"), expected=401, json=fields, headers=run.bearer)
    run.explain("The token had not expired, but it stopped working immediately. The first integration stays active.")


def _refuse_to_start(run: DemoRun) -> None:
    run.work(ENGINEER, "PATCH", expected=400, json={"state": "implement"})
    run.explain("No state is skipped: this change has not been assessed or approved.")
    run.work(ENGINEER, "PATCH", json={"state": "assess"})
    run.explain("Its policy has asked people for their approval. This is what it waits for:")
    for blocker in run.work(ENGINEER, "GET", "/blockers")["result"]:
        run.explain(blocker["sentence"])


def _approve(run: DemoRun) -> None:
    answer = {"state": "approved", "comments": "Looks good."}
    run.work(ENGINEER, "PATCH", "/approvals", expected=400, json=answer)
    run.explain("Only a person who was asked can answer, and nobody can approve a change of their own.")
    for person in (PEER, BOARD):
        state = run.work(person, "PATCH", "/approvals", json=answer)["result"]["state"]["display_value"]
        run.explain(f"{person} approved. The change is now in state {state}.")


def _implement(run: DemoRun) -> None:
    run.work(ENGINEER, "PATCH", json={"state": "implement"})
    run.work(ENGINEER, "PATCH", json={"state": "review"})
    run.work(ENGINEER, "PATCH", expected=400, json={"state": "closed"})
    run.explain("A change is closed with a close code and close notes.")
    closing = {"state": "closed", "close_code": "successful", "close_notes": "Deployed to all nodes."}
    run.work(ENGINEER, "PATCH", json=closing)
    run.explain(
        f"{run.changes[0]['number']} is closed. Its history is a hash chain, which `changegate history verify` checks."
    )


STEPS: tuple[tuple[str, Callable[[DemoRun], None]], ...] = (
    ("The identity provider publishes its key set", _publish),
    ("An administrator registers an integration, OAuth - JWT bearer grant, with that URL", _register),
    ("The identity provider signs a JWT for the automation", _sign),
    ("The automation exchanges it for an access token", _exchange),
    ("With the token it creates a change request", _create_change),
    ("What the token does not allow", _try_what_is_forbidden),
    ("The identity provider rotates its key, with overlap", _rotate),
    ("A second integration is disabled", _disable),
    ("A person asks for approval of the first change", _refuse_to_start),
    ("Two people approve it", _approve),
    ("It is implemented, reviewed, and closed", _implement),
)
