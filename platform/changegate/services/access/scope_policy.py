"""What an access token may call, by the rules of auth scopes: which calls, and how far each may go."""

from dataclasses import dataclass, field
from functools import reduce

# Of a rule: every method, every version, every table.
ANY = "*"
VERSIONS = ("v1", "v2")
# A path without a version is the newest one's (docs/reference/table-api.md#paths-and-methods).
LATEST = "v2"


@dataclass(frozen=True, slots=True)
class ApiCall:
    """One call as a scope sees it: an API, an HTTP method, the table it works on and the version of the path."""

    rest_api: str
    http_method: str
    table: str
    version: str = LATEST


Fields = frozenset[str] | None
NO_FIELDS: Fields = frozenset()


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How far a call may go: the fields it may write, None for all, and whether to what its integration created.

    `fields_elsewhere` are those of records that the integration did not create. They are apart because rules add up:
    one that changes every field of one's own records and one that comments on all do not give every field of all.
    """

    writable_fields: Fields = None
    own_records: bool = False
    fields_elsewhere: Fields = None

    @classmethod
    def of_rule(cls, writable_fields: Fields, *, own_records: bool) -> "CallLimits":
        """Return the limits of one rule."""
        return cls(writable_fields, own_records, NO_FIELDS if own_records else writable_fields)

    def or_else(self, other: "CallLimits") -> "CallLimits":
        """Return the limits of a call that two rules cover: what either allows, it may."""
        return CallLimits(
            _either(self.writable_fields, other.writable_fields),
            self.own_records and other.own_records,
            _either(self.fields_elsewhere, other.fields_elsewhere),
        )

    def and_also(self, other: "CallLimits") -> "CallLimits":
        """Return the limits of two calls at once: what both allow, they may."""
        return CallLimits(
            _both(self.writable_fields, other.writable_fields),
            self.own_records or other.own_records,
            _both(self.fields_elsewhere, other.fields_elsewhere),
        )


def _either(one: Fields, other: Fields) -> Fields:
    return None if one is None or other is None else one | other


def _both(one: Fields, other: Fields) -> Fields:
    return one if other is None else other if one is None else one & other


NO_LIMITS = CallLimits()


@dataclass(frozen=True, slots=True)
class ScopeRule:
    """A rule of a scope: the calls it covers, and how far they may go."""

    rest_api: str
    http_method: str
    version: str
    table: str
    limits: CallLimits = NO_LIMITS

    def covers(self, call: ApiCall) -> bool:
        """Tell whether a call is one of the rule's."""
        return (
            self.rest_api == call.rest_api
            and self.http_method in (ANY, call.http_method)
            and self.table in (ANY, call.table)
            and self.version in (ANY, call.version)
        )


@dataclass(frozen=True, slots=True, eq=False)
class ScopePolicy:
    """What the scopes of a token allow (docs/reference/inbound-integrations.md#auth-scopes).

    `held` are the rules of its scopes. `has_everything` is the scope useraccount. `protected` are the rules of all
    scopes there are where what none of them covers is the user's to do, and `named` those of all scopes of the
    integration where the token is kept to calls that they cover; each is None where that is switched otherwise.
    """

    held: tuple[ScopeRule, ...] = ()
    has_everything: bool = False
    protected: tuple[ScopeRule, ...] | None = None
    named: tuple[ScopeRule, ...] | None = None
    # There are only so many calls, and a policy is asked about the same ones again and again.
    _judged: dict[ApiCall, CallLimits | None] = field(default_factory=dict, repr=False)

    def limits_of(self, call: ApiCall) -> CallLimits | None:
        """Return how far a call may go, None for a call that is not allowed."""
        if call not in self._judged:
            self._judged[call] = self._judge(call)
        return self._judged[call]

    def _judge(self, call: ApiCall) -> CallLimits | None:
        if self.named is not None and not _covered(self.named, call):
            return None
        if self.has_everything:
            return NO_LIMITS
        limits = [rule.limits for rule in self.held if rule.covers(call)]
        if limits:
            return reduce(CallLimits.or_else, limits)
        is_unprotected = self.protected is not None and not _covered(self.protected, call)
        return NO_LIMITS if is_unprotected else None


NOTHING = ScopePolicy()


def _covered(rules: tuple[ScopeRule, ...], call: ApiCall) -> bool:
    return any(rule.covers(call) for rule in rules)
