"""Where workloads get their tokens, in place of the providers' own: addresses on loopback, programs, and a file."""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from changegate.services.integrations.snippet_layouts import SNIPPET_LAYOUTS
from tests.support.live_desk import AUDIENCE

MICROSOFT, GOOGLE = "http://169.254.169.254", "http://metadata.google.internal"
MOUNTED = "/var/run/changegate/token"
RUNNER = {"Authorization": "Bearer of the runner"}
BASIC = {"Authorization": "Basic bWFjaGluZTpzZWNyZXQ="}
RUN = "4711"
CLIENT = {"grant_type": "client_credentials"}
Sign = Callable[[], str]


@dataclass(frozen=True)
class Source:
    """A request that gets a token: its headers and parameters, and the member of the answer, or None for the token."""

    headers: Mapping[str, str]
    parameters: Mapping[str, str]
    member: str | None = "access_token"


SOURCES = {
    "/github": Source(RUNNER, {"api-version": "2.0", "audience": AUDIENCE}, "value"),
    "/azure": Source(RUNNER, {"api-version": "7.1"}, "oidcToken"),
    "/v1/token": Source(BASIC, {**CLIENT, "scope": "changes"}),
    "/oauth/token": Source(BASIC, {**CLIENT, "audience": AUDIENCE}),
    "/protocol/openid-connect/token": Source(BASIC, CLIENT),
    "/as/token.oauth2": Source(BASIC, CLIENT),
    "/token": Source(BASIC, CLIENT),
    "/oauth2/token": Source(BASIC, CLIENT),
    "/metadata/identity/oauth2/token": Source(
        {"Metadata": "true"}, {"api-version": "2018-02-01", "resource": "api://changegate"}
    ),
    "/computeMetadata/v1/instance/service-accounts/default/identity": Source(
        {"Metadata-Flavor": "Google"}, {"audience": AUDIENCE, "format": "full"}, None
    ),
}
# Each prints the token if it is given exactly the arguments that its provider documents.
PROGRAMS = {
    "circleci": ("run oidc get --claims " + json.dumps({"aud": AUDIENCE}), "$TOKEN"),
    "buildkite-agent": (
        f"oidc request-token --audience {AUDIENCE} --claim organization_id --claim pipeline_id",
        "$TOKEN",
    ),
    "spire-agent": (
        f"api fetch jwt -audience {AUDIENCE} -output json",
        '[{\\"svids\\": [{\\"svid\\": \\"$TOKEN\\"}]}]',
    ),
    "aws": (
        f"sts get-web-identity-token --audience {AUDIENCE} --signing-algorithm ES384 --duration-seconds 300 "
        "--query WebIdentityToken --output text",
        "$TOKEN",
    ),
}


@contextmanager
def workload_sources(folder: Path, sign: Sign) -> Iterator["WorkloadSources"]:
    """Serve the addresses, and write the programs and the file into a folder."""
    token = sign()
    (folder / "token").write_text(token)
    for name, (arguments, output) in PROGRAMS.items():
        program = f'#!/bin/sh\n[ "$*" = \'{arguments}\' ] || exit 64\nTOKEN={token}\necho "{output}"\n'
        (folder / name).write_text(program)
        (folder / name).chmod(0o755)
    handler = type("Handler", (_Handler,), {"sign": staticmethod(sign)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield WorkloadSources(f"http://127.0.0.1:{server.server_address[1]}", folder, token)
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class WorkloadSources:
    """The address of the sources, the folder of the programs, and a token that is in the file and the variables."""

    url: str
    folder: Path
    token: str

    def localized(self, script: str) -> str:
        """Return a script with addresses on loopback in place of those that are built in."""
        for address in (MICROSOFT, GOOGLE, "https://$COGNITO_DOMAIN"):
            script = script.replace(address, self.url)
        return script.replace(MOUNTED, str(self.folder / "token"))

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment that providers give to their workloads."""
        return {
            **os.environ,
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "ASSERTION": self.token,
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.url}/github?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of the runner",
            "SYSTEM_OIDCREQUESTURI": f"{self.url}/azure",
            "SYSTEM_ACCESSTOKEN": "of the runner",
            "PROVIDER_CLIENT_ID": "machine",
            "PROVIDER_CLIENT_SECRET": "secret",
            "PROVIDER_SCOPE": "changes",
            "RESOURCE": "api://changegate",
            "BITBUCKET_STEP_OIDC_TOKEN": self.token,
            "TFC_WORKLOAD_IDENTITY_TOKEN_CHANGEGATE": self.token,
            **{layout.run: RUN for layout in SNIPPET_LAYOUTS.values() if layout.run},
        }


class _Handler(BaseHTTPRequestHandler):
    sign: Sign

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._answer(parse_qs(body))

    def _answer(self, form: Mapping[str, list[str]]) -> None:
        url = urlsplit(self.path)
        source = SOURCES[url.path]
        sent = {name: values[0] for name, values in (parse_qs(url.query) | dict(form)).items()}
        is_right = sent == source.parameters and not [
            name for name, value in source.headers.items() if self.headers[name] != value
        ]
        answer: Any = {"error": "invalid_request"}
        if is_right and source.member:
            answer = {"expires_in": 300, source.member: self.sign(), "scope": "x"}
        text = self.sign() if is_right and source.member is None else json.dumps(answer, indent=2)
        self.send_response(200 if is_right else 400)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_message: Any) -> None:
        """Keep the output of the tests quiet."""
