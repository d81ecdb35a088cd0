"""The rules of identity providers, claim mappings, and the identities of users."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete

from changegate.database import connection
from changegate.errors import InputInvalid
from changegate.models import SysUserSession
from changegate.sealed import seal
from changegate.services.access.caller import Caller
from changegate.services.assertions.claim_conditions import path_of
from changegate.services.single_sign_on.grants import take_back_all
from changegate.services.single_sign_on.providers import sealed_for
from changegate.services.tables.rules import Rules, Values
from changegate.services.tables.values import MASK
from changegate.services.users.sessions import end_sessions

_ALIAS = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
CLAIMS = ("user_name_claim", "name_claim", "email_claim")


class ProviderRules(Rules):
    """Rules of identity providers: the secret is encrypted, and their sessions end with them."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Check the values, and encrypt the secret."""
        _check(values)
        _seal_secret(values)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Check the changes, and encrypt a new secret."""
        _check(changes)
        _seal_secret(changes)

    def after_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """End the sessions of an inactive provider, and of one that is another one now."""
        if changes.get("active") is False or "issuer" in changes:
            _end_sessions(record["sys_id"])

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Take back what the mappings have given, and end the sessions."""
        take_back_all(record["sys_id"])
        _end_sessions(record["sys_id"])


class MappingRules(Rules):
    """Rules of claim mappings: each gives one group or one role."""

    def before_create(self, values: Values, caller: Caller) -> None:
        """Require a claim, and a group or a role."""
        _check_mapping(values)

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """Require a claim, and a group or a role."""
        _check_mapping({**record, **changes})


class IdentityRules(Rules):
    """Rules of identities: nobody stays signed in by an identity that they no longer have."""

    def before_update(self, record: Mapping[str, Any], changes: Values, caller: Caller) -> None:
        """End the sessions of the former user."""
        end_sessions(record["user"])

    def after_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """End the sessions of the user."""
        end_sessions(record["user"])


def _check(values: Values) -> None:
    errors: dict[str, list[str]] = {}
    alias, scopes = values.get("alias"), values.get("scopes")
    if alias is not None and (not _ALIAS.fullmatch(alias)):
        errors["alias"] = ["Use lower-case letters, digits, and hyphens, such as example-idp."]
    if scopes is not None and "openid" not in scopes.split():
        errors["scopes"] = ["The scopes must include openid."]
    errors |= {name: problem for name in CLAIMS if (problem := _claim_problem(values.get(name, name)))}
    if errors:
        raise InputInvalid(errors)


def _check_mapping(values: Mapping[str, Any]) -> None:
    if problem := _claim_problem(values.get("claim") or ""):
        raise InputInvalid({"claim": problem})
    if bool(values.get("group")) == bool(values.get("role")):
        raise InputInvalid({"group": ["Choose either a group or a role."]})


def _claim_problem(claim: str) -> list[str]:
    if not claim:
        return ["Enter the name of a claim, or a JSON pointer such as /realm_access/roles."]
    try:
        path_of(claim)
    except ValueError as problem:
        return [f"This is not a JSON pointer: {problem}."]
    return []


def _seal_secret(values: Values) -> None:
    if values.get("client_secret") == MASK:
        del values["client_secret"]
    if values.get("client_secret"):
        values["client_secret"] = seal(values["client_secret"], purpose=sealed_for())


def _end_sessions(provider: str) -> None:
    connection().execute(delete(SysUserSession).where(SysUserSession.provider == provider))
