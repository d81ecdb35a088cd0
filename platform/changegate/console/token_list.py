"""Filter and page of the list of active tokens."""

from dataclasses import dataclass
from typing import ClassVar

from changegate.console.list_arguments import FilteredLog
from changegate.services.oauth.live_tokens import TokenFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenList(FilteredLog):
    """The state of the list as text, stored in the URL."""

    lengths: ClassVar = {"integration": 32, "scope": 100, "user": 40, "text": 255}

    integration: str = ""
    scope: str = ""
    user: str = ""
    text: str = ""

    def filter(self, entity: str | None) -> TokenFilter:
        """Return the filter of the search; `entity` is the sys_id of the integration."""
        return TokenFilter(entity, self.scope or None, self.user or None, self.text or None)
