"""The options of an integration, one for each field of the form; the schema validates their values."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from changegate.cli.integrations.key_files import NamedFile, read_certificate, read_shared_key, read_text
from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import ALGORITHMS, KEY_SOURCES, REPLAY_POLICIES, TOKEN_FORMATS, USER_FIELDS
from changegate.schemas.claim_condition_text import REPORT_ONLY
from changegate.schemas.key_source import SHARED_KEY_ALGORITHMS

Command = Callable[..., Any]
SLUGS = tuple(connection.slug for connection in TYPES.values())
# Fields that combine several options.
CONDITIONS, REPORTED = "claim_conditions", "reported_conditions"
FILES = ("certificates", "shared_keys", "jwks_file")
REPEATED = "May be repeated; an empty string clears the list."
BROADLY = "If off, calls that no scope protects are limited only by the user's roles."
ENFORCED = "A token then works only for APIs that rules of the integration's scopes name, even with useraccount."


def _one_of(choices: Iterable[str]) -> str:
    return f"One of {', '.join(choices)}."


def _text(flag: str, name: str, help_text: str, **more: Any) -> Command:
    return click.option(flag, name, help=help_text, **more)


def _switch(flag: str, name: str, help_text: str) -> Command:
    return click.option(f"--{flag}/--no-{flag}", name, default=None, help=help_text)


def _seconds(flag: str, name: str, metavar: str = "SECONDS") -> Command:
    return click.option(flag, name, metavar=metavar)


OPTIONS: tuple[Command, ...] = (
    _text(
        "--type", "type", f"The connection type, which cannot be changed later; default: jwt-bearer. {_one_of(SLUGS)}"
    ),
    _text(
        "--provider-name", "provider_name", "The provider or team that runs the automation; defaults to the preset's."
    ),
    _text("--preset", "preset", "A name from `integration presets`; it supplies the defaults of the other options."),
    _text("--place", "place", "One of the preset's places; defaults to the first."),
    _text(
        "--placeholder",
        "placeholders",
        "A value for a placeholder in the preset's issuer.",
        multiple=True,
        metavar="NAME=VALUE",
    ),
    _text("--issuer", "issuer", "Must equal the assertion's iss byte for byte."),
    _text("--audience", "audiences", f"Defaults to the client ID. {REPEATED}", multiple=True),
    _text("--audience-claim", "audience_claim", "The claim that contains the audience; for Cognito, client_id."),
    _switch(
        "allow-additional-audiences", "allow_additional_audiences", "Accept assertions that also have other audiences."
    ),
    _text("--key-source", "key_source", _one_of(KEY_SOURCES)),
    _text("--jwks-url", "jwks_url", "Where the provider publishes its keys."),
    _text("--jwks-file", "jwks_file", "A file that contains a key set.", metavar="FILE"),
    click.option(
        "--certificate", "certificates", type=NamedFile(), multiple=True, help="A certificate file, PEM or DER."
    ),
    click.option(
        "--shared-key-file", "shared_keys", type=NamedFile(), multiple=True, help="A file that contains a shared key."
    ),
    _switch("allow-missing-kid", "allow_missing_kid", "Accept assertions without kid."),
    _text("--algorithm", "algorithms", _one_of([*ALGORITHMS, *SHARED_KEY_ALGORITHMS]), multiple=True),
    _text("--required-typ", "required_typ", "The required typ in the assertion's header; by default JWT or no typ."),
    _text(
        "--claim-condition",
        CONDITIONS,
        f"A required condition, such as 'repository_id equals 123'. {REPEATED}",
        multiple=True,
    ),
    _text(
        "--report-only-condition", REPORTED, f"A condition that is counted and never refuses. {REPEATED}", multiple=True
    ),
    _text("--replay-policy", "replay_policy", _one_of(REPLAY_POLICIES)),
    _switch("jti-verification", "enable_jti_verification", "Whether an assertion can be exchanged only once."),
    _text("--jti-claim", "jti_claim", "The claim that identifies an assertion uniquely."),
    _seconds("--max-assertion-lifetime", "max_assertion_lifetime_seconds"),
    _seconds("--clock-skew", "clock_skew_seconds"),
    _seconds("--jwks-cache-lifespan", "jwks_cache_lifespan_minutes", "MINUTES"),
    _text("--run-as", "run_as", "The user that every token of this integration acts as.", metavar="USER"),
    _text("--user-field", "user_field", f"The user field that sub is compared with. {_one_of(USER_FIELDS)}"),
    _text("--user-claim", "user_claim", "The claim of an ID token that is compared instead of sub."),
    _switch("require-email-verified", "require_email_verified", "For ID tokens with the user claim email."),
    _text("--scope", "scopes", f"Defaults to change_request.create. {REPEATED}", multiple=True),
    _switch("scope-restriction", "scope_restriction", f"Allow access only to APIs in selected scope. {BROADLY}"),
    _switch("enforce-token-restriction", "enforce_token_restriction", f"Enforce token restriction. {ENFORCED}"),
    _text("--token-format", "token_format", _one_of(TOKEN_FORMATS.values())),
    _seconds("--access-token-lifespan", "access_token_lifespan_seconds"),
    _switch("issue-refresh-tokens", "issue_refresh_tokens", "Issue refresh tokens; only for the password grant."),
    _seconds("--refresh-token-lifespan", "refresh_token_lifespan_seconds"),
    _seconds("--creations-per-hour", "creations_per_hour", "NUMBER"),
    _seconds("--creations-per-day", "creations_per_day", "NUMBER"),
    _switch("public", "public_client", "A public client, which has no secret."),
    _switch("active", "active", "Whether the integration is active."),
    _text("--owner", "owner", "The user who is responsible for the integration.", metavar="USER"),
    _text("--review-date", "review_date", "When the integration should be reviewed.", metavar="YYYY-MM-DD"),
    _text("--comments", "comments", "Notes about the integration."),
)


def integration_options(command: Command) -> Command:
    """Give a command the options of every field but the name."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def read_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given options in the form of the schema, with files read; raises `OSError` and `InputInvalid`."""
    given = {name: value for name, value in options.items() if value is not None and value != ()}
    fields = {name: _value(name, value) for name, value in given.items() if name not in (*FILES, REPORTED)}
    if REPORTED in given:
        reported = [f"{REPORT_ONLY} {text}" for text in given[REPORTED] if text.strip()]
        fields[CONDITIONS] = [*fields.get(CONDITIONS, []), *reported]
    if "jwks_file" in given:
        fields["jwks"] = read_text(given["jwks_file"], "jwks")
    maps = [read_certificate(named) for named in given.get("certificates", ())]
    maps += [read_shared_key(named) for named in given.get("shared_keys", ())]
    return fields | ({"verifier_maps": maps} if maps else {})


def keep_other_conditions(
    fields: dict[str, Any], options: Mapping[str, Any], stored: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the fields, with the stored conditions of a kind (enforced, report-only) that was not given."""
    if CONDITIONS not in fields:
        return fields
    kept = [condition for condition in stored if not options[REPORTED if condition["report_only"] else CONDITIONS]]
    return fields | {CONDITIONS: [*kept, *fields[CONDITIONS]]}


def _value(name: str, value: Any) -> Any:
    if name == "placeholders":
        return dict(_pair(text) for text in value)
    return [text for text in value if text.strip()] if isinstance(value, tuple) else value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError("Write --placeholder as NAME=VALUE.")
    return name.strip(), value
