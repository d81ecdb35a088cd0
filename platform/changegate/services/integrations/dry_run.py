"""Dry runs: an assertion verified as in an exchange, against an integration that need not be saved.

A dry run issues no token and writes no event, and the assertion can still be exchanged afterwards.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Column, ColumnDefault, select

from changegate.database import connection
from changegate.errors import InputInvalid, JwksFetchFailed, JwksUnusable
from changegate.extensions import db, now
from changegate.models import OAuthEntity, OAuthExchange, SysUser
from changegate.oauth_errors import AssertionRefused, TemporarilyUnavailable
from changegate.services.assertions.assertion import UnverifiedAssertion, VerifiedAssertion
from changegate.services.assertions.replay import replay_key_of
from changegate.services.assertions.report import Report, RuleCheck, RuleResult
from changegate.services.integrations.connection_types import require_provider
from changegate.services.integrations.integration_fields import DEFAULT_SCOPE
from changegate.services.integrations.pasted_text import tidy
from changegate.services.integrations.saving import find_user
from changegate.services.integrations.verifier_maps import render_keys, validate_keys
from changegate.services.keys.key_store import KeyStore
from changegate.services.oauth.clients import NEEDED_COLUMNS, Client, client_of
from changegate.services.oauth.jwt_bearer_grant import require_purpose, verify_for
from changegate.services.oauth.subjects import resolve_subject


@dataclass(frozen=True, slots=True, repr=False)
class DryRun:
    """The outcome of a dry run: the results of all rules, and the reason of the first failure, None if accepted.

    `claims` are set if the signature was verified; `user` is the name of the user that the token would act as.
    `problem` is a sentence if the keys were unavailable, so that nothing was verified.
    """

    results: list[RuleResult]
    reason: str | None = None
    would_refuse: bool = False
    claims: Mapping[str, Any] | None = None
    user: str | None = None
    problem: str | None = None


def try_assertion(
    fields: Mapping[str, Any], text: str, key_store: KeyStore, entity: OAuthEntity | None = None
) -> DryRun:
    """Verify an assertion against validated fields of the integration schema, for `entity` if it is saved already.

    `text` is read without the quotes and the word Bearer that come along when it is copied. Keys come from the cache if
    the integration is registered with the same URL, else from the provider. Raises `InputInvalid` for a connection type
    without assertions.
    """
    if entity is not None:
        require_provider(entity, "assertions", "assertion")
    try:
        client = client_of_fields(fields, entity)
    except InputInvalid as problem:
        return DryRun([], "key_unusable", problem=problem.message)
    try:
        assertion = UnverifiedAssertion.parse(tidy(text))
        verified = _verify(client, assertion, key_store, entity)
        _check_replay(client, verified)
        user = resolve_subject(client, verified)
        verified.report.require_passed()
    except AssertionRefused as refusal:
        return _outcome(refusal.report if isinstance(refusal.report, Report) else Report(), refusal.reason)
    except TemporarilyUnavailable as problem:
        return DryRun([], problem.reason, problem=problem.detail)
    return _outcome(verified.report, None, db.session.get(SysUser, user))


def _verify(
    client: Client, assertion: UnverifiedAssertion, key_store: KeyStore, entity: OAuthEntity | None
) -> VerifiedAssertion:
    if client.source.static is not None or (entity is not None and entity.jwks_url == client.source.url):
        return verify_for(client, assertion, key_store)
    try:
        key_set = key_store.probe(client.source.url).key_set
    except (JwksFetchFailed, JwksUnusable) as problem:
        raise TemporarilyUnavailable("jwks_fetch_failed", problem.message) from None
    verified = assertion.verify(client.policy, key_set, now=now())
    require_purpose(verified)
    return verified


def _outcome(report: Report, reason: str | None, user: SysUser | None = None) -> DryRun:
    claims = json.loads(report.payload) if report.payload else None
    return DryRun(report.results, reason, report.would_refuse, claims, user.user_name if user else None)


def _check_replay(client: Client, verified: VerifiedAssertion) -> None:
    if client.policy.allows_reuse:
        return
    replay_key = replay_key_of(client.entity, verified.issuer, verified.replay_digest)
    exchanges = select(OAuthExchange.correlation_id).where(OAuthExchange.replay_key == replay_key)
    is_seen = connection().execute(exchanges).first() is not None
    seen = "seen before" if is_seen else "not seen before"
    verified.report.add(RuleCheck("replay", "jti_replayed" if is_seen else None, "not seen before", seen))


def client_of_fields(fields: Mapping[str, Any], entity: OAuthEntity | None) -> Client:
    """Return the client of an integration as if these validated fields were saved; raises `InputInvalid`.

    It has no cached keys.
    """
    columns = OAuthEntity.__table__.columns
    row = SimpleNamespace()
    for name in NEEDED_COLUMNS:
        stored = getattr(entity, name) if entity else _default(columns[name])
        setattr(row, name, fields.get(name, stored))
    row.audiences = row.audiences or [row.client_id]
    row.static_keys = render_keys(validate_keys(entity, fields))
    row.scopes = ",".join(fields["scopes"] or [DEFAULT_SCOPE])
    row.cached_url = None
    user = find_user(fields["run_as"]) if fields["run_as"] else None
    # An unknown run-as user is an inactive one. None would mean that a claim names the user.
    unknown = "" if fields["run_as"] else None
    row.run_as = user.sys_id if user else unknown
    row.user_active, row.locked_out = (user.active, user.locked_out) if user else (False, False)
    return client_of(row)


def _default(column: Column[Any]) -> Any:
    if column.name in ("sys_id", "client_id"):
        return ""
    default = column.default
    return default.arg if isinstance(default, ColumnDefault) and default.is_scalar else None
