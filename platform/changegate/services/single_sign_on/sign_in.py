"""The two halves of a sign-in: the way to the provider, and its answer.

begin     ──> the address of the provider's page, and the attempt for the cookie
finish    answer and cookie ──> checks ──> code exchange ──> user, or the link that was asked for
"""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from changegate.errors import SealBroken
from changegate.extensions import db, limiter, now, settings
from changegate.models import OAuthClientAssertion, SysUser
from changegate.postponed import forbid_postponing
from changegate.printable import printable
from changegate.services.assertions.assertion import VerifiedAssertion
from changegate.services.assertions.replay import replay_key_of
from changegate.services.single_sign_on.attempts import ATTEMPT_LIFETIME, SignOnAttempt
from changegate.services.single_sign_on.exchange import authorization_url, exchange_code
from changegate.services.single_sign_on.failures import LONGEST_DETAIL, SignOnFailed
from changegate.services.single_sign_on.metadata import get_metadata
from changegate.services.single_sign_on.people import find_or_create_user, link_identity
from changegate.services.single_sign_on.providers import Provider, get_provider, hold_provider

LONGEST_CODE = 4096


def begin(
    alias: str, *, address: str, target: str | None = None, user: str | None = None
) -> tuple[Provider, SignOnAttempt, str]:
    """Return the provider, a new attempt, and the address to go to.

    With a `user`, the account at the provider is to be linked to them. Raises `RecordNotFound` for an alias without an
    active provider, `SignOnFailed`, `RateLimited`, and `Postponed` if the server supports it.
    """
    provider = _open(alias)
    limiter.require_room_to_fail(address, _counted(alias))
    try:
        metadata = get_metadata(provider.issuer)
    except SignOnFailed:
        limiter.count(address, _counted(alias))
        raise
    attempt = SignOnAttempt.begin(alias, target=target, user=user)
    return provider, attempt, authorization_url(provider, metadata, attempt)


def finish(
    alias: str, answer: Mapping[str, str], cookie: str, *, address: str, signed_in: str | None
) -> tuple[Provider, SignOnAttempt, SysUser]:
    """Return the user that a provider's answer stands for, or whose account it has linked; nothing is committed.

    `signed_in` is the sys_id of the user of the session, the only one whose account can be linked. Raises
    `SignOnFailed`, `RateLimited`, `RecordNotFound`, and `Postponed` if the server supports it.
    """
    # Before anything is looked up: whatever arrives without a cookie costs nothing.
    attempt = SignOnAttempt.open(cookie, alias, answer.get("state", ""))
    if attempt.user not in (None, signed_in):
        raise SignOnFailed("sign_on_outdated", "the user who began to link an account has signed out")
    provider = _open(alias)
    metadata = get_metadata(provider.issuer)
    issuer = answer.get("iss")
    if issuer != provider.issuer and (issuer is not None or metadata.names_issuer):
        raise SignOnFailed("sign_on_mixed_up", f"expected iss {provider.issuer}; received {_shown(issuer)}")
    if "error" in answer or not 0 < len(answer.get("code", "")) <= LONGEST_CODE:
        said = " ".join(filter(None, (answer.get("error"), answer.get("error_description")))) or "no code"
        raise SignOnFailed("sign_on_declined", _shown(said))
    limiter.require_room_to_fail(address, _counted(alias))
    try:
        verified = exchange_code(provider, metadata, attempt, answer["code"])
        _use_once(provider, attempt, verified)
    except SignOnFailed:
        limiter.count(address, _counted(alias))
        raise
    # Again, because the provider's answers took time.
    hold_provider(provider)
    if attempt.user is not None:
        link_identity(attempt.user, verified)
        return provider, attempt, db.session.get_one(SysUser, attempt.user)
    return provider, attempt, find_or_create_user(provider, verified)


def sign_out_url(provider: Provider) -> str | None:
    """Return the address that ends the session at a provider (OpenID Connect RP-Initiated Logout 1.0 §2), or None.

    None also if the provider cannot be reached: the local session has ended anyway.
    """
    try:
        endpoint = get_metadata(provider.issuer).end_session_endpoint
    except SignOnFailed:
        return None
    if endpoint is None:
        return None
    back = {"client_id": provider.client_id, "post_logout_redirect_uri": f"{settings().base_url}/login"}
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(back)}"


def _open(alias: str) -> Provider:
    try:
        return get_provider(alias)
    except SealBroken as problem:
        raise SignOnFailed("sign_on_unavailable", problem.message) from None


def _counted(alias: str) -> str:
    return f"sign-on {alias}"


def _use_once(provider: Provider, attempt: SignOnAttempt, verified: VerifiedAssertion) -> None:
    """Refuse the answer to an attempt that was answered before, with the same ID token or another one.

    In a transaction of its own, as with client assertions: the INSERT decides among all processes.
    """
    # A postponed request runs again from the start, and would then be refused as a replay of itself.
    forbid_postponing()
    key = replay_key_of(provider.sys_id, provider.issuer, attempt.nonce.encode())
    try:
        with db.engine.begin() as at_work:
            row = {"replay_key": key, "expires_at": now() + ATTEMPT_LIFETIME + timedelta(minutes=1)}
            at_work.execute(insert(OAuthClientAssertion).values(row))
    except IntegrityError:
        raise SignOnFailed("sign_on_used", f"subject {verified.subject}") from None


def _shown(text: str | None) -> str:
    return printable(text or "nothing", LONGEST_DETAIL)
