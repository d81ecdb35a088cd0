"""Token trials: dry runs against the form as typed."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from changegate.console.integrations.claim_pins import ClaimLine, list_claims
from changegate.console.integrations.form import IntegrationForm
from changegate.errors import InputInvalid
from changegate.models import OAuthEntity
from changegate.schemas.presets import find_by_issuer, find_preset
from changegate.services.integrations.dry_run import DryRun, try_assertion
from changegate.services.keys.key_store import key_store

MAX_TOKEN_LENGTH = 64 * 1024
# Fields that no rule reads may be blank in a trial.
NOT_TRIED = {
    "name": "Trial",
    "provider_name": "Trial",
    "owner": "",
    "owner_group": "",
    "review_date": "",
    "comments": "",
}


@dataclass(frozen=True, slots=True, repr=False)
class TokenTrial:
    """The result of a trial or the reason why it cannot run; never contains the token."""

    run: DryRun | None = None
    claims: Sequence[ClaimLine] = ()
    problem: str | None = None
    errors: dict[str, list[str]] = field(default_factory=dict)


def try_token(form: IntegrationForm, text: str, entity: OAuthEntity | None) -> TokenTrial:
    """Check a token against the form as typed."""
    if not text.strip():
        return TokenTrial(problem="Paste a token first.")
    if len(text) > MAX_TOKEN_LENGTH:
        return TokenTrial(problem="The input is longer than a token may be.")
    try:
        fields = form.changed(**NOT_TRIED).load(entity)
    except InputInvalid as refusal:
        return TokenTrial(problem="Fix the errors in the form before you try a token.", errors=refusal.fields)
    run = try_assertion(fields, text, key_store(), entity)
    provider = find_preset(fields["preset"]) or find_by_issuer(fields["issuer"])
    return TokenTrial(run, list_claims(run.claims, provider) if run.claims is not None else ())
