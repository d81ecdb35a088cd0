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
TEXTS = ("issuer", "run_as", "new_account", "audience", "name", "provider_name")
CHOICES = {"account": (EXISTING, CREATED), "audience_choice": (THIS_SERVER, OF_TOKEN, OTHER)}
MAX_TEXT = 2048
MAX_CLAIM_ROWS = 40
# Claims that an administrator who sets up an integration does not need.
NOT_KEPT = ALWAYS_NEW | {"iss", "aud"}


@dataclass(frozen=True, slots=True)
class SetupForm:
    """The answers in `values`, by field, and the errors in them.

    `values["conditions"]` are rows of `SETUP_CONDITIONS`. `cautions` are warnings to be confirmed. `is_refused` is
    whether the form was not saved because of the errors.
    """

    recognition: Recognition
    values: Mapping[str, Any]
    errors: Mapping[str, list[str]] = field(default_factory=dict)
    cautions: tuple[str, ...] = ()
    is_refused: bool = False
    notices: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def proposed(cls, recognition: Recognition, *, may_create_account: bool) -> "SetupForm":
        """Return the form with an answer proposed to every question."""
        kept = {name: value for name, value in recognition.claims.items() if name not in NOT_KEPT}
        recognition = replace(recognition, claims=kept)
        issuer = recognition.fields.get("issuer", "")
        preset = find_preset(recognition.fields.get("preset"))
        values = {
            "issuer": issuer,
            "conditions": _propose_rows(recognition, preset),
            "is_for_all": False,
            "account": CREATED if may_create_account else EXISTING,
            "run_as": "",
            "audience": "",
            **_propose_answers(recognition, issuer, preset),
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
        if self.knows_issuer:
            values["issuer"] = self.recognition.fields["issuer"]
        form = replace(self, values={**self.values, **values})
        return form if values["issuer"] == self.values["issuer"] else form._at_new_issuer(self)

    def _at_new_issuer(self, before: "SetupForm") -> "SetupForm":
        """Return the form with the proposals for an issuer that was entered; other answers are kept."""
        earlier = _propose_answers(self.recognition, before.values["issuer"], before.preset)
        later = _propose_answers(self.recognition, self.values["issuer"], self.preset)
        proposed = {name: text for name, text in later.items() if self.values[name] == earlier[name]}
        offered = {row["claim"] for row in _propose_rows(self.recognition, before.preset)}
        rows = self.values["conditions"]
        kept = [row for row in rows if row["is_given"] or row["value"].strip() or row["claim"] not in offered]
        names = {row["claim"] for row in kept}
        added = [row for row in _propose_rows(self.recognition, self.preset) if row["claim"] not in names]
        values = {**self.values, **proposed, "conditions": [*kept, *added]}
        recognition = self.recognition.at_issuer(values["issuer"], self.preset)
        return replace(self, recognition=recognition, values=values)

    def with_keys_of(self, found: Recognition) -> "SetupForm":
        """Return the form with the keys that were found in pasted text, or with an error at that field."""
        problem = found.keys.error if found.keys else None
        if found.keys is None or problem or not found.has_keys:
            texts = [problem] if problem else list(found.problems) or [found.sentence]
            return replace(self, errors={**self.errors, "jwks": texts})
        return replace(self, recognition=self.recognition.with_keys_of(found, self.values["issuer"], self.preset))

    @property
    def knows_issuer(self) -> bool:
        """Return whether the issuer was recognized, and thus is not asked for."""
        return bool(self.recognition.fields.get("issuer"))

    @property
    def preset(self) -> Preset | None:
        """The preset of the provider, if the issuer is known to belong to one."""
        return find_preset(self.recognition.fields.get("preset")) or find_by_issuer(self.values["issuer"])

    @property
    def host(self) -> str:
        """The host of the issuer."""
        return host_of_issuer(self.values["issuer"])

    @property
    def takes_keys(self) -> bool:
        """Whether the page asks for keys: none were found, or their test failed."""
        keys = self.recognition.keys
        return not self.recognition.has_keys or bool(keys and keys.error)

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
        return {
            **self.recognition.fields,
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


def _propose_answers(recognition: Recognition, issuer: str, preset: Preset | None) -> dict[str, str]:
    """Return the answers that depend on the provider, apart from the conditions."""
    label = preset.label if preset else host_of_issuer(issuer) or "Identity provider"
    name = find_free_name(label)
    return {
        "name": name,
        "provider_name": label,
        "new_account": propose_account(name),
        "audience_choice": _propose_audience(recognition, preset),
    }


def _propose_audience(recognition: Recognition, preset: Preset | None) -> str:
    if preset is None or preset.is_audience_free:
        return THIS_SERVER
    return OF_TOKEN if recognition.audiences else OTHER
