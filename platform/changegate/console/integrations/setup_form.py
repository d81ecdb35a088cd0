"""The form of the quick setup: what was recognized, the answers to three questions, and the fields that follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from changegate.console.integrations.claim_pins import ClaimLine, list_claims, pinned_row
from changegate.console.integrations.rows import SETUP_CONDITIONS
from changegate.extensions import settings
from changegate.schemas.presets import Preset, find_by_issuer, find_preset
from changegate.services.assertions.condition_linter import ALWAYS_NEW
from changegate.services.integrations.recognition import Recognition, host_of_issuer
from changegate.services.integrations.run_as import propose_account
from changegate.services.integrations.saving import find_free_name

EXISTING, CREATED = "existing", "created"
THIS_SERVER, OF_TOKEN, OTHER = "server", "token", "other"
TEXTS = ("issuer", "jwks_url", "run_as", "new_account", "audience", "name", "provider_name")
CHOICES = {"account": (EXISTING, CREATED), "audience_choice": (THIS_SERVER, OF_TOKEN, OTHER)}
MAX_TEXT = 2048
MAX_CLAIM_ROWS = 40
# Claims that say nothing to an administrator who sets up an integration, and would be kept for nothing.
NOT_KEPT = ALWAYS_NEW | {"iss", "aud"}


@dataclass(frozen=True, slots=True)
class SetupForm:
    """The answers in `values`, by field, and the errors in them.

    `values["conditions"]` are rows of `SETUP_CONDITIONS`. `cautions` are warnings to be confirmed.
    """

    recognition: Recognition
    values: Mapping[str, Any]
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    notices: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def proposed(cls, recognition: Recognition, *, may_create_account: bool) -> "SetupForm":
        """Return the form with an answer proposed to every question."""
        kept = {name: value for name, value in recognition.claims.items() if name not in NOT_KEPT}
        recognition = replace(recognition, claims=kept)
        preset = find_preset(recognition.fields.get("preset"))
        label = preset.label if preset else host_of_issuer(recognition.fields.get("issuer", "")) or "Identity provider"
        name = find_free_name(label)
        values = {
            "issuer": recognition.fields.get("issuer", ""),
            "jwks_url": recognition.fields.get("jwks_url", ""),
            "conditions": _propose_rows(recognition, preset),
            "is_for_all": False,
            "account": CREATED if may_create_account else EXISTING,
            "run_as": "",
            "new_account": propose_account(name),
            "audience_choice": _propose_audience(recognition, preset),
            "audience": "",
            "name": name,
            "provider_name": label,
        }
        return cls(recognition, values)

    @classmethod
    def of_content(cls, content: Mapping[str, Any]) -> "SetupForm":
        """Return the form of a draft."""
        return cls(Recognition.of_values(content["recognition"]), content["answers"])

    def content(self) -> dict[str, Any]:
        """Return the content of a draft."""
        return {"recognition": self.recognition.as_values(), "answers": dict(self.values)}

    def answered(self, sent: MultiDict[str, str]) -> "SetupForm":
        """Return the form with the answers that were sent."""
        values: dict[str, Any] = {name: sent.get(name, "")[:MAX_TEXT].strip() for name in TEXTS}
        for name, choices in CHOICES.items():
            chosen = sent.get(name, "")
            values[name] = chosen if chosen in choices else self.values[name]
        values["conditions"] = SETUP_CONDITIONS.read(sent)[: MAX_CLAIM_ROWS + 1]
        values["is_for_all"] = "is_for_all" in sent
        known = {name: self.recognition.fields[name] for name in ("issuer", "jwks_url") if self.is_known(name)}
        return replace(self, values={**self.values, **values, **known})

    def is_known(self, name: str) -> bool:
        """Return whether the issuer or the JWKS URL was recognized, and thus is not asked for."""
        return bool(self.recognition.fields.get(name))

    @property
    def preset(self) -> Preset | None:
        """The preset of the provider, if the issuer is known to belong to one."""
        return find_preset(self.recognition.fields.get("preset")) or find_by_issuer(self.values["issuer"])

    @property
    def host(self) -> str:
        """The host of the issuer."""
        return host_of_issuer(self.values["issuer"])

    @property
    def needs_jwks_url(self) -> bool:
        """Whether the JWKS URL has to be entered."""
        return not any(self.recognition.fields.get(name) for name in ("jwks_url", "jwks", "verifier_maps"))

    @property
    def audiences(self) -> list[str]:
        """The accepted audiences that follow from the choice."""
        choice = self.values["audience_choice"]
        if choice == OF_TOKEN:
            return list(self.recognition.audiences)
        text = settings().base_url if choice == THIS_SERVER else self.values["audience"]
        return [text] if text else []

    @property
    def run_as(self) -> str:
        """The name of the account that tokens act as."""
        chosen: str = self.values["new_account" if self.values["account"] == CREATED else "run_as"]
        return chosen

    @property
    def used_rows(self) -> list[int]:
        """The indices of the rows that become claim conditions."""
        return [place for place, row in enumerate(self.values["conditions"]) if is_used(row)]

    @property
    def conditions(self) -> list[dict[str, Any]]:
        """The claim conditions, as the schema loads them."""
        rows = (self.values["conditions"][place] for place in self.used_rows)
        return [condition_of(row) for row in rows]

    def fields(self) -> dict[str, Any]:
        """Return the fields of the integration; others get the defaults of the preset and the schema."""
        preset = self.preset
        entered = {"key_source": "jwks_url", "jwks_url": self.values["jwks_url"]} if self.needs_jwks_url else {}
        return {
            **self.recognition.fields,
            **entered,
            **({"preset": preset.name} if preset else {}),
            "issuer": self.values["issuer"],
            "name": self.values["name"],
            "provider_name": self.values["provider_name"],
            "audiences": self.audiences,
            "claim_conditions": self.conditions,
            "run_as": self.run_as,
            # The signed assertion authenticates the client; a secret beside it would have to be stored.
            "public_client": True,
        }


def is_used(row: Mapping[str, Any]) -> bool:
    """Return whether a row becomes a claim condition."""
    return bool(row["is_used"] if row["is_given"] else row["value"].strip())


def condition_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claim condition of a row."""
    return {"operator": "equals", **{name: row[name] for name in ("claim", "value_type", "value")}}


def _propose_rows(recognition: Recognition, preset: Preset | None) -> list[dict[str, Any]]:
    lines = [line for line in list_claims(recognition.claims, preset) if line.can_be_pinned][:MAX_CLAIM_ROWS]
    ticked = _names_to_tick(lines, preset)
    rows = [_given_row(line, is_used=line.name in ticked) for line in lines]
    if not rows:
        rows = [_blank_row(claim) for claim in (preset.bind if preset else ("sub",))]
    return [*rows, _blank_row("")]


def _names_to_tick(lines: list[ClaimLine], preset: Preset | None) -> set[str]:
    """Return the claims that identify the workload: the provider's immutable ones, else the subject."""
    bound = {line.name for line in lines if preset and line.is_immutable and line.name in preset.bind}
    return bound or {"sub"}


def _given_row(line: ClaimLine, *, is_used: bool) -> dict[str, Any]:
    pinned = pinned_row(line.name, line.value) or {}
    texts = {name: pinned[name] for name in SETUP_CONDITIONS.texts}
    return {**texts, "is_given": True, "is_used": is_used}


def _blank_row(claim: str) -> dict[str, Any]:
    return {**SETUP_CONDITIONS.blank(), "claim": claim}


def _propose_audience(recognition: Recognition, preset: Preset | None) -> str:
    if preset is None or preset.is_audience_free:
        return THIS_SERVER
    return OF_TOKEN if recognition.audiences else OTHER
