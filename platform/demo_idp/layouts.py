"""The layouts of tokens: the claims that workloads of well-known identity providers have.

`layouts.json` holds the data. Each layout is named after a preset of Changegate, or a variant of it. The issuer is
always the demo identity provider, so that its keys verify the tokens.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Layout:
    """The claims of a provider's tokens, without `iss`, `iat`, and `exp`.

    `preset` is Changegate's preset for the provider; None if none is needed. A `typ` of None means a header without it.
    `issuer_path` is appended to the issuer of this server, for a preset that requires a path.
    """

    name: str
    label: str
    preset: str | None
    claims: Mapping[str, object]
    algorithm: str = "RS256"
    typ: str | None = "JWT"
    lifetime_seconds: int = 300
    issuer_path: str = ""

    def fill(self, *, audience: object, issued_at: int) -> dict[str, object]:
        """Return the claims of a new token."""
        values: Mapping[str, Callable[[], object]] = {
            "{audience}": lambda: audience,
            "{issued_at}": lambda: issued_at,
            "{unique}": lambda: str(uuid4()),
        }
        return {name: _filled(value, values) for name, value in self.claims.items()}


def _filled(value: object, values: Mapping[str, Callable[[], object]]) -> object:
    if value == ["{audience}"]:
        audience = values["{audience}"]()
        return audience if isinstance(audience, list) else [audience]
    return values[value]() if isinstance(value, str) and value in values else value


def _load() -> Mapping[str, Layout]:
    content = json.loads((Path(__file__).parent / "layouts.json").read_text("utf-8"))
    return MappingProxyType({entry["name"]: Layout(**entry) for entry in content})


LAYOUTS = _load()
PLAIN = LAYOUTS["plain"]
