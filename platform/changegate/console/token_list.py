"""Which live tokens somebody wants to see; all of it in the address, so that it can be sent to a colleague."""

from collections.abc import Mapping
from dataclasses import dataclass

from changegate.console.list_arguments import correlation_id
from changegate.printable import typed
from changegate.services.oauth.live_tokens import TokenFilter

# What can be asked for, and how long it may be.
ARGUMENTS = {"integration": 32, "scope": 100, "user": 40, "text": 255}


@dataclass(frozen=True, slots=True)
class TokenList:
    """The state of the list, as text; `before` is the correlation id that the page goes on from."""

    integration: str = ""
    scope: str = ""
    user: str = ""
    text: str = ""
    before: str = ""

    @classmethod
    def of_arguments(cls, arguments: Mapping[str, str]) -> "TokenList":
        """Read the query string; what makes no sense in it is left out."""
        found = {name: typed(arguments.get(name, ""))[:length] for name, length in ARGUMENTS.items()}
        return cls(**found, before=correlation_id(arguments.get("before", "")))

    def filter(self, entity: str | None) -> TokenFilter:
        """Return what to search for; `entity` is the sys_id of the integration."""
        return TokenFilter(entity, self.scope or None, self.user or None, self.text or None)

    def arguments(self) -> dict[str, str]:
        """Return the query string's arguments without the page."""
        return {name: value for name in ARGUMENTS if (value := getattr(self, name))}
