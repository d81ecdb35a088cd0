"""schemathesis against the application: requests made up from the OpenAPI document, and answers held against it.

What the document says is meant to be sent is narrower in places than what is taken. `reads_leniently` names those
places, and each check that is left out somewhere says why it cannot hold there.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from typing import Any
from unittest import mock

import schemathesis
from flask import Flask
from hypothesis import strategies as st
from schemathesis import Case, CheckContext, HookContext, Response
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import Status, events, from_schema
from schemathesis.generation.meta import TestPhase
from schemathesis.hooks import unregister_all
from schemathesis.specs.openapi.checks import negative_data_rejection
from schemathesis.transport.wsgi import WSGITransport

from changegate.services.catalog import TABLES
from changegate.services.tables.registry import NOBODY

TABLE_PATH = "/api/now/table/"
CHANGE_PATH = "/api/sn_chg_rest/change"
OF_ONE_TYPE = f"^(GET|POST) {CHANGE_PATH}/(normal|emergency|standard)"
SHADOWED = [
    *("/api/now/attachment/file", "/api/now/attachment/upload"),
    *(f"{CHANGE_PATH}/{word}" for word in ("model", "normal", "emergency", "standard")),
]
# Fields of a new record that the path may decide; in the body they are ignored.
OF_PATHS = frozenset({"change_request", "type"})
RULED = [
    *("sys_user_delegate", "chg_policy_approval", "chg_approval_def"),
    *("sttrm_state", "sttrm_state_transition", "sttrm_transition_condition"),
    *("risk_conditions", "std_change_record_producer", "std_change_proposal"),
    *("cmn_schedule_blackout", "cmn_schedule_maintenance", "cmn_schedule_span", "chg_freeze_override"),
    *("oidc_provider_configuration", "oidc_claim_mapping"),
]
READ_ALIKE = f"^GET {TABLE_PATH}(?!change_request)"
# Together they have writable fields of every kind.
TABLES_OF_EVERY_KIND = ("change_request", "sys_user", "cmdb_ci")
WRITTEN_ALIKE = f"^POST ({TABLE_PATH}(?!({'|'.join(TABLES_OF_EVERY_KIND)})$)|{CHANGE_PATH}(/.*/task)?$)"
ALIKE = f"^(GET|PUT|DELETE) {TABLE_PATH}(?!change_request)"
SEED = 20_260_101
MAX_STEPS = 8
LONGEST_LIST = 20
NO_RECORD = "0" * 32
A_TIME_ZONE = "Europe/Berlin"
REAL = frozenset({"GET", "PUT", "PATCH"})
OF_TASKS = frozenset({"GET", "POST", "PATCH"})
RECORD_PATHS = (TABLE_PATH, CHANGE_PATH)
INTEGRATIONS_PATH = "/api/now/oauth/integrations"
CALLS_WITH_A_BODY = ("/try", "/rotate-secret")
NOBODYS_KEYS = "http://127.0.0.1:9999/jwks.json"
A_GOOD_INTEGRATION = {
    **{"provider_name": "Example CI", "issuer": "https://ci.example.com"},
    **{"jwks_url": NOBODYS_KEYS, "run_as": "admin"},
}
LOOSE_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n", "t", "f", "1", "0", "none", ""})
# Fields whose values depend on no other's.
HARMLESS_FIELDS = frozenset(
    {
        *("active", "public_client", "allow_additional_audiences", "allow_missing_kid", "scope_restriction"),
        *("enforce_token_restriction", "token_format", "access_token_lifespan_seconds", "clock_skew_seconds"),
        *("max_assertion_lifetime_seconds", "jwks_cache_lifespan_minutes", "review_date"),
    }
)
NETWORK = ("cert", "max_redirects", "proxies", "verify")
# Years that both databases hold.
FIRST, LAST = datetime(1000, 1, 2), datetime(9998, 12, 30)


@dataclass
class Findings:
    """What a run has found, by check and operation; how many requests it made in each phase, and what came back."""

    failures: dict[str, str] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    operations: set[str] = field(default_factory=set)


def configuration(
    auth: Mapping[str, Any], *, max_examples: int, max_stories: int, covered: str = ""
) -> SchemathesisConfig:
    """Return all checks but those that cannot hold, with requests that are made up alike in every run.

    `max_examples` is how many requests are made up for each operation, and `max_stories` how many sequences of them;
    `covered` is the one path whose values are all tried one by one; without it, all paths are covered so.
    """
    few = {"max-examples": min(max_examples, 2), "deterministic": True, "no-shrink": True}
    read_only = [table for table in TABLES.values() if NOBODY in (table.access.create, table.access.update)]
    return SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            # What was found before would be tried first, and so no two runs would be alike.
            "cache": {"enabled": False},
            "auth": {"openapi": dict(auth)},
            "generation": {"max-examples": max_examples, "deterministic": True, "no-shrink": True},
            # What is taken from answers or from the source would differ from run to run.
            "analysis": {"constants": {"enabled": False}},
            "phases": {
                "examples": {"extra-data-sources": {"responses": False}},
                # In the order of `check_contract`, lists are read while they are short.
                "coverage": {"extra-data-sources": {"responses": False}, "operation-ordering": "none"},
                "fuzzing": {"extra-data-sources": {"responses": False}, "error-feedback": {"enabled": False}},
                "stateful": {"max-steps": MAX_STEPS, "generation": {"max-examples": max_stories}},
            },
            # `negative_body_rejection` stands in for it.
            "checks": {"negative_data_rejection": {"enabled": False}},
            "operations": [
                # Which assertions and clients are good, no schema can say.
                {
                    "include-tag": "Tokens",
                    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "429"]}},
                },
                # Who is known, which key fits and which fields go together, no schema can say. Roles tell who may, and
                # a story may take them from the administrator; access tokens never may.
                {
                    "include-tag": "Integrations",
                    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404"]}},
                    # One schema is read by all writes, and it takes long to make something up for it.
                    "generation": {"max-examples": min(max_examples, 3), "deterministic": True, "no-shrink": True},
                },
                # Which conditions can be evaluated, and which times and states fit together, no schema can say.
                {
                    "include-tag": RULED,
                    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404"]}},
                },
                # A move that the state model does not allow is a 400 here.
                {
                    "include-tag": "Change Management",
                    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404"]}},
                },
                # Changes of one type are read and created like all others.
                {"include-name-regex": OF_ONE_TYPE, "phases": {"coverage": {"enabled": False}}},
                # The values of fields are tried one by one where records are created; changes read them alike.
                {"include-method": ["PUT", "PATCH"], "phases": {"coverage": {"enabled": False}}},
                # One endpoint reads all tables by the same parameters: their values are tried one by one on one table.
                {"include-name-regex": READ_ALIKE, "phases": {"coverage": {"enabled": False}}},
                # It reads a field by its kind, whatever the table: the values of each kind are tried where it occurs.
                {"include-name-regex": WRITTEN_ALIKE, "phases": {"coverage": {"enabled": False}}},
                # Made-up requests to it repeat each other in the same way; PUT reads what PATCH does.
                {"include-name-regex": ALIKE, "generation": few},
                *([{"exclude-path": covered, "phases": {"coverage": {"enabled": False}}}] if covered else []),
                # These are paths of records, too, whose sys_id would be the last word.
                {
                    "include-path": SHADOWED,
                    "checks": {
                        "unsupported_method": {"enabled": False},
                        "allow_header_conformance": {"enabled": False},
                    },
                },
                # One endpoint serves all tables: OPTIONS tells its methods, and who tries those that this table
                # does not have is refused with 403.
                {
                    "include-tag": [table.name for table in read_only],
                    "checks": {"allow_header_conformance": {"enabled": False}},
                },
            ],
        }
    )


def check_contract(
    app: Flask, document: dict[str, Any], config: SchemathesisConfig, sys_ids: Mapping[str, str]
) -> Findings:
    """Send requests of all phases to the application; `sys_ids` holds a record of each table to refer to."""
    # Lists of changes in the Change API come before the path of the Table API at which hundreds of changes are created.
    paths = dict(sorted(document["paths"].items(), reverse=True))
    schema = schemathesis.openapi.from_dict(document | {"paths": paths}, config=config)
    schema.app = app
    with _hooks(sys_ids):
        return _collected(from_schema(schema).execute())


def _collected(stream: Iterator[events.EngineEvent]) -> Findings:
    findings = Findings()
    for event in stream:
        if isinstance(event, events.NonFatalError):
            findings.failures[f"error in {event.label}"] = str(event.info)
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            _collect(findings, event)
    return findings


def _collect(findings: Findings, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    findings.requests[event.phase.value] += len(recorder.cases)
    for node in recorder.cases.values():
        findings.operations.add(node.value.operation.label)
    for identifier, interaction in recorder.interactions.items():
        if interaction.response is not None:
            findings.answers[interaction.request.method, interaction.response.status_code] += 1
        for check in recorder.checks.get(identifier, ()):
            if check.status == Status.FAILURE and check.failure_info is not None:
                failure = check.failure_info.failure
                answer = interaction.response.text[:300] if interaction.response is not None else ""
                text = f"{failure.title}: {failure.message}\n{check.failure_info.code_sample}\n-> {answer}"
                findings.failures.setdefault(f"{check.name} of {failure.operation}", text)


@contextmanager
def _hooks(sys_ids: Mapping[str, str]) -> Iterator[None]:
    """Let schemathesis know what no schema can say; it keeps such knowledge for the whole process."""
    schemathesis.openapi.format("glide_date_time", st.datetimes(FIRST, LAST).map(_text_of_instant))
    schemathesis.openapi.format("glide_date", st.dates(FIRST.date(), LAST.date()).map(date.isoformat))

    numbers = count()

    @schemathesis.hook
    def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
        # An answer without a body has no type; some checks take that for a fault.
        case.headers.pop("X-no-response-body", None)
        # The few keys that are made up would stand for other creations all the time.
        if key := case.headers.get("Idempotency-Key"):
            case.headers["Idempotency-Key"] = f"{key[:200]}{next(numbers)}"
        # Versions that are made up would be outdated all the time.
        if "If-Match" in case.headers:
            case.headers["If-Match"] = "*"
        # The lists of what a run has created would become long.
        if case.method == "GET" and "{" not in case.path and case.path.startswith(RECORD_PATHS):
            case.query.setdefault("sysparm_limit", LONGEST_LIST)
        if case.path.startswith(RECORD_PATHS) and is_meant_well(case):
            make_real(case, sys_ids)
        if case.path.startswith(INTEGRATIONS_PATH):
            make_integration_real(case, sys_ids, next(numbers))
        # A story may come across the records that others refer to; they are not to go.
        if case.method == "DELETE" and case.path_parameters.get("sys_id") in sys_ids.values():
            case.path_parameters["sys_id"] = NO_RECORD

    with mock.patch.object(WSGITransport, "send", _sent_in_process):
        try:
            yield
        finally:
            unregister_all()


_send = WSGITransport.send


def _sent_in_process(transport: WSGITransport, case: Case, **options: Any) -> Response:
    # In-process there is no network, and the transport stumbles over what is said about it.
    for name in NETWORK:
        options.pop(name, None)
    return _send(transport, case, **options)


def _text_of_instant(instant: datetime) -> str:
    return instant.replace(tzinfo=UTC).strftime("%Y-%m-%d %H:%M:%S")


def is_meant_well(case: Case) -> bool:
    """Return whether a request is one that the document allows."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def make_real(case: Case, sys_ids: Mapping[str, str]) -> None:
    """Let a request read or change a record that exists, and refer to such ones: what is made up is refused."""
    name = table_of(case.path)
    is_linked = case.meta is not None and case.meta.phase.name is TestPhase.STATEFUL
    if "sys_id" in case.path_parameters and case.method in REAL and name in sys_ids and not is_linked:
        case.path_parameters["sys_id"] = sys_ids[name]
    if "/task" in case.path and case.method in OF_TASKS:
        case.path_parameters["sys_id"] = sys_ids["change_request"]
        case.path_parameters |= {key: sys_ids[name] for key in ("task_sys_id",) if key in case.path_parameters}
    if isinstance(case.body, dict):
        entries = TABLES[name].entries
        # A field is written by its name in any case, which no schema can say.
        body = {key: value for key, value in case.body.items() if key in entries or key.lower() not in entries}
        referring = {field: entry.reference for field, entry in entries.items() if entry.reference and body.get(field)}
        # Of records that are not served nothing is known, so that any short text will do.
        real = {field: sys_ids.get(target, str(body[field])[:32]) for field, target in referring.items()}
        if body.get("time_zone"):
            real["time_zone"] = A_TIME_ZONE
        case.body = body | real


def table_of(path: str) -> str:
    """Return the table whose records a path is about."""
    if path.startswith(TABLE_PATH):
        return path.split("/")[4]
    return "change_task" if "/task" in path else "chg_model" if "/model" in path else "change_request"


def _is_loose(value: Any) -> bool:
    return isinstance(value, bool | int | float) or str(value).lower() in LOOSE_WORDS


def make_integration_real(case: Case, sys_ids: Mapping[str, str], number: int) -> None:
    """Let a request be about an integration that exists, with a name of its own and keys that are not published.

    What is made up is refused nearly always, and an address that is made up must not be asked for keys.
    """
    if is_meant_well(case) and "client_id" in case.path_parameters and case.method != "DELETE":
        case.path_parameters["client_id"] = sys_ids["integration"]
    if isinstance(case.body, dict) and isinstance(case.body.get("jwks_url"), str):
        case.body["jwks_url"] = NOBODYS_KEYS
    if isinstance(case.body, dict) and is_meant_well(case) and not case.path.endswith(CALLS_WITH_A_BODY):
        kept = {name: value for name, value in case.body.items() if name in HARMLESS_FIELDS}
        needed = {} if case.method == "PATCH" else {"name": f"Made up {number}", **A_GOOD_INTEGRATION}
        case.body = case.body if number % 2 else kept | needed


@schemathesis.check
def negative_body_rejection(ctx: CheckContext, response: Response, case: Case) -> None:
    """Insist that a body which the document rules out is refused, unless it is read leniently on purpose."""
    is_negated = case.meta is not None and case.meta.is_negative_at(ParameterLocation.BODY)
    if is_negated and not reads_leniently(case):
        negative_data_rejection(ctx, response, case)


def reads_leniently(case: Case) -> bool:
    """Return whether a body may be taken although the document rules it out.

    See docs/reference/table-api.md#parameters and #writes, docs/reference/other-apis.md#batch.
    """
    if case.path.endswith("/batch"):
        # A bad request in a batch has an answer of its own, and the batch is fine.
        return True
    if case.path.startswith(INTEGRATIONS_PATH):
        # The form sends everything as text: a number may be one, and there is more than one word for yes.
        return not isinstance(case.body, dict) or not case.body or any(map(_is_loose, case.body.values()))
    if "xml" in (case.media_type or ""):
        # XML has one type, and cannot hold the characters that are ruled out.
        return True
    if not case.path.startswith(RECORD_PATHS):
        return False
    # Of a list the first record counts; nothing at all is an empty record.
    if not isinstance(case.body, dict) or not case.body:
        return True
    if case.path.startswith(CHANGE_PATH) and case.method == "POST" and OF_PATHS & case.body.keys():
        return True
    # A field takes a number or a boolean as its text, a list joined, and a reference as it was read.
    return not all(isinstance(value, str) for value in case.body.values())
