"""Completion of API and command-line input about a new integration: an issuer alone leads to its keys.

The console's quick setup proposes the same values (see `recognition`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from changegate.errors import InputInvalid
from changegate.models.connection_type import TYPES
from changegate.models.integration_choices import JWT_BEARER
from changegate.printable import printable
from changegate.services.integrations.provider_catalog import ProviderCatalog
from changegate.services.integrations.provider_search import JWKS_URL
from changegate.services.integrations.recognition import Recognition, host_of_issuer, recognize_pasted
from changegate.services.integrations.saving import find_free_name
from changegate.services.keys.key_store import KeyStore

# Any of these determines the keys. With a preset, the schema fills in the URLs.
DECIDED = ("jwks", "verifier_maps", "preset", "placeholders", "place")

GIVE_KEYS = "Give jwks_url, or the keys themselves."
NAMED = "The provider names itself {}. Issuers are compared exactly."


@dataclass(frozen=True, slots=True, repr=False)
class Completed:
    """The input with the values that follow from it, and the recognition, None if nothing was to be found out."""

    given: Mapping[str, Any]
    recognition: Recognition | None = None

    @property
    def warnings(self) -> list[str]:
        """What an administrator must look at."""
        # Keys that cannot be fetched become a warning when the integration is saved.
        return [*self.recognition.problems] if self.recognition else []


def complete_input(
    given: Mapping[str, Any], key_store: KeyStore, catalog: ProviderCatalog, pasted: str | None = None
) -> Completed:
    """Return the input, completed by what its issuer, its JWKS URL, or the pasted text leads to.

    Given values are kept. Call it without an open transaction. Raises `InputInvalid` if no keys are found.
    """
    text, field = (pasted, "from") if pasted is not None else _text_of(given)
    if text is None:
        return Completed(given)
    mistakes = catalog.refuse_new_mistakes({"issuer": text}, None) if field == "issuer" else {}
    if mistakes:
        raise InputInvalid(mistakes)
    found = recognize_pasted(text, key_store, catalog)
    if field == "jwks_url" and found.kind != JWKS_URL:
        # The address has no keys. The schema requires the issuer, and the warning explains why.
        return Completed(given, found)
    if not found.keys and "jwks_url" not in found.fields and "jwks_url" not in given:
        reasons = list(found.problems) or [found.sentence]
        raise InputInvalid({field: reasons if pasted is not None else [*reasons, GIVE_KEYS]})
    if field == "issuer" and found.fields["issuer"] != text:
        raise InputInvalid({field: [NAMED.format(printable(found.fields["issuer"]))]})
    proposed = {**found.fields, **_names(found), **({"audiences": list(found.audiences)} if found.audiences else {})}
    kept = {name: value for name, value in given.items() if value not in ("", None)}
    return Completed({**proposed, **kept}, found)


def _text_of(given: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the issuer or the JWKS URL that leads to the other, and its field; None if both or neither are given."""
    is_decided = any(given.get(name) for name in DECIDED) or given.get("key_source") not in (None, "", "jwks_url")
    texts = {name: text for name in ("issuer", "jwks_url") if (text := _text(given, name)) is not None}
    if is_decided or len(texts) != 1 or not _has_provider(given):
        return None, ""
    [(field, text)] = texts.items()
    return text, field


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    # Any other value is refused by the schema.
    return value.strip() or None if isinstance(value, str) else None


def _has_provider(given: Mapping[str, Any]) -> bool:
    named = str(given.get("type") or JWT_BEARER).strip().lower().replace("-", "_")
    return named in TYPES and TYPES[named].has_provider


def _names(found: Recognition) -> dict[str, str]:
    label = found.provider or host_of_issuer(found.fields.get("issuer", ""))
    return {"name": find_free_name(label), "provider_name": label} if label else {}
