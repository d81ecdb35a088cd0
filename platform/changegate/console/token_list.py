"""Filter and page of the list of active tokens."""

from collections.abc import Mapping
from dataclasses import dataclass

from changegate.console.list_arguments import correlation_id
from changegate.printable import typed
from changegate.services.oauth.live_tokens import TokenFilter

# The arguments of the query string, and their maximum lengths.
ARGUMENTS = {"integration": 32, "scope": 100, "user": 40, "text": 255}


@dataclass(frozen=True, slots=True)
class TokenList:
    """The state of the list as text, stored in the URL; the page begins after the token with the ID `before`."""

    integration: str = ""
    scope: str = ""
    user: str = ""
    text: str = ""
    before: str = ""

    @classmethod
    def of_arguments(cls, arguments: Mapping[str, str]) -> "TokenList":
        """Read the query string; invalid values are ignored."""
        texts = {name: typed(arguments.get(name, ""))[:length] for name, length in ARGUMENTS.items()}
        return cls(**texts, before=correlation_id(arguments.get("before", "")))

    def filter(self, entity: str | None) -> TokenFilter:
        """Return the filter of the search; `entity` is the sys_id of the integration."""
        return TokenFilter(entity, self.scope or None, self.user or None, self.text or None)

    def arguments(self) -> dict[str, str]:
        """Return the arguments of the query string without the page."""
        return {name: value for name in ARGUMENTS if (value := getattr(self, name))}
