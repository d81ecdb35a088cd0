"""The evaluation of auth scopes: the calls that an access token may make, and the limits of each."""

from dataclasses import dataclass, field
from functools import reduce

from changegate.models.auth_scope import ANY, API_VERSIONS


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A call as scopes describe it: the API, the HTTP method, the table, and the version of the path."""

    rest_api: str
    http_method: str
    table: str
    version: str = API_VERSIONS[-1]


WritableFields = frozenset[str] | None
NO_FIELDS: WritableFields = frozenset()


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The limits of a call: the fields that it may write (None for all), and whether only in own records.

    Own records are those that the token's integration created. `fields_elsewhere` are the writable fields of all other
    records. They are separate because rules add up: a rule for every field of own records and a rule for comments on
    all records must not combine to every field of all records.
    """

    writable_fields: WritableFields = None
    own_records: bool = False
    fields_elsewhere: WritableFields = None

    @classmethod
    def of_rule(cls, writable_fields: WritableFields, *, own_records: bool) -> "CallLimits":
        """Return the limits of one rule."""
        return cls(writable_fields, own_records, NO_FIELDS if own_records else writable_fields)

    def or_else(self, other: "CallLimits") -> "CallLimits":
        """Return the limits of a call that two rules cover: it may do what either rule allows."""
        return CallLimits(
            _either(self.writable_fields, other.writable_fields),
            self.own_records and other.own_records,
            _either(self.fields_elsewhere, other.fields_elsewhere),
        )

    def and_also(self, other: "CallLimits") -> "CallLimits":
        """Return the limits of a request that makes two calls: it may do what both limits allow."""
        return CallLimits(
            _both(self.writable_fields, other.writable_fields),
            self.own_records or other.own_records,
            _both(self.fields_elsewhere, other.fields_elsewhere),
        )


def _either(one: WritableFields, other: WritableFields) -> WritableFields:
    return None if one is None or other is None else one | other


def _both(one: WritableFields, other: WritableFields) -> WritableFields:
    return one if other is None else other if one is None else one & other


NO_LIMITS = CallLimits()


@dataclass(frozen=True, slots=True)
class ScopeRule:
    """A rule of a scope: the calls that it covers, and their limits."""

    rest_api: str
    http_method: str
    version: str
    table: str
    limits: CallLimits = NO_LIMITS

    def covers(self, call: ApiCall) -> bool:
        """Return whether the rule covers a call."""
        return (
            self.rest_api == call.rest_api
            and self.http_method in (ANY, call.http_method)
            and self.table in (ANY, call.table)
            and self.version in (ANY, call.version)
        )


# Compared by identity, because policies are keys of a cache (`visibility`) and the dict below cannot be hashed.
@dataclass(frozen=True, slots=True, eq=False)
class ScopePolicy:
    """What the scopes of a token allow (docs/reference/inbound-integrations.md#auth-scopes).

    - `held` are the rules of the token's scopes. `has_everything` is true with the scope useraccount.
    - `protected` are the rules of all existing scopes, if calls that none of them covers are allowed without a scope;
      otherwise None.
    - `named` are the rules of all scopes of the integration, if only calls that they cover are allowed; otherwise None.
    """

    held: tuple[ScopeRule, ...] = ()
    has_everything: bool = False
    protected: tuple[ScopeRule, ...] | None = None
    named: tuple[ScopeRule, ...] | None = None
    # A cache without a limit: the number of different calls is small, and the same ones are checked again and again.
    _decisions: dict[ApiCall, CallLimits | None] = field(default_factory=dict, repr=False)

    def limits_of(self, call: ApiCall) -> CallLimits | None:
        """Return the limits of a call, or None if it is not allowed."""
        if call not in self._decisions:
            self._decisions[call] = self._evaluate(call)
        return self._decisions[call]

    def _evaluate(self, call: ApiCall) -> CallLimits | None:
        # Before `has_everything`: the scope useraccount must not lift the restriction of the integration.
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
