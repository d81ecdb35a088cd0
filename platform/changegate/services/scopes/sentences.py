"""Plain English descriptions of what scopes and their rules allow."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from changegate.models import SysApiAccessScope, SysAuthScope
from changegate.models.auth_scope import ANY, REST_APIS, USERACCOUNT
from changegate.services.scopes.rules import fields_of_list
from changegate.services.tables.registry import find_table

EVERYTHING = "May do everything that its user may do."
NOTHING = "Allows nothing: it has no active rule."
TABLE_API = "now/table"
_RECORD_VERBS = {"POST": "create", "GET": "read", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
_VERBS = {
    TABLE_API: _RECORD_VERBS,
    "sn_chg_rest/change": {method: verb for method, verb in _RECORD_VERBS.items() if method != "PUT"},
    "now/stats": {"GET": "count and sum up"},
    "now/attachment": {
        "POST": "attach files to",
        "GET": "read the files of",
        "PATCH": "rename the files of",
        "DELETE": "delete the files of",
    },
    "oauth/introspect": {"POST": "introspect any access token"},
}
# Instead of the verbs of the API, for a table to which its methods do something else.
_VERBS_OF_TABLES = {
    ("sn_chg_rest/change", "sysapproval_approver"): {"POST": "answer", "PATCH": "answer"},
    ("sn_chg_rest/change", "std_change_record_producer"): {"POST": "create change requests from", "GET": "read"},
}
# Both methods update records. If a scope allows only one of them, its description names the method.
_EITHER = {"PUT", "PATCH"}
_WRITING = _EITHER | {"POST"}


class _Topic(NamedTuple):
    """The properties that several calls share, so that one clause describes them all."""

    rest_api: str
    table: str
    version: str
    own_records: bool
    fields: frozenset[str] | None


def describe_rule(rule: SysApiAccessScope) -> str:
    """Return what a rule allows, as a sentence."""
    sentence = _sentence([rule])
    return sentence if rule.active else f"{sentence.removesuffix('.')} (switched off)."


def describe_scope(scope: SysAuthScope) -> str:
    """Return what a scope allows, as a sentence; "it" is the integration."""
    if scope.sys_id == USERACCOUNT:
        return EVERYTHING
    rules = [rule for rule in scope.rules if rule.active]
    return _sentence(rules) if rules else NOTHING


def _sentence(rules: Iterable[SysApiAccessScope]) -> str:
    topics: dict[_Topic, list[str]] = {}
    calls = [(rule, method) for rule in rules for method in _methods(rule)]
    for rule, method in sorted(calls, key=_order):
        topics.setdefault(_topic(rule, method), []).append(method)
    clauses: list[str] = []
    for topic, methods in topics.items():
        _add_clause(clauses, topic, methods)
    return f"May {'; may '.join(clauses)}."


def _methods(rule: SysApiAccessScope) -> Iterator[str]:
    every = _verbs(rule.rest_api, rule.table) or (ANY,)
    yield from every if rule.http_method == ANY else (rule.http_method,)


def _order(call: tuple[SysApiAccessScope, str]) -> tuple[int, str, int]:
    """Return the sort key of a call: records before statistics and files, and creation first."""
    rule, method = call
    apis, methods = [*_VERBS], [*_RECORD_VERBS]
    api_at = apis.index(rule.rest_api) if rule.rest_api in apis else len(apis)
    return api_at, rule.table, methods.index(method) if method in methods else len(methods)


def _topic(rule: SysApiAccessScope, method: str) -> _Topic:
    creates = method == "POST" and _verbs(rule.rest_api, rule.table).get(method) == "create"
    fields = fields_of_list(rule.writable_fields or "") if method in _WRITING else None
    is_narrowed = rule.own_records and not creates  # Created records are always the integration's own.
    return _Topic(rule.rest_api, rule.table, rule.version, is_narrowed, fields)


def _add_clause(clauses: list[str], topic: _Topic, methods: list[str]) -> None:
    """Add the clause of a topic, or extend that of the Table API if another API allows the same."""
    api = REST_APIS.get(topic.rest_api)
    if api is None or api.tables is None:
        clauses.append(_clause(topic, methods))
        return
    clause, through = _clause(topic._replace(version=ANY), methods), f"through the {api.label}"
    version = f" under {topic.version}" if topic.version != ANY else ""
    if clause in clauses:
        clauses[clauses.index(clause)] = f"{clause}, also {through}{version}"
    else:
        clauses.append(f"{clause} {through}{version}")


def _verbs(rest_api: str, table: str) -> Mapping[str, str]:
    return _VERBS_OF_TABLES.get((rest_api, table)) or _VERBS.get(rest_api, {})


def _clause(topic: _Topic, methods: list[str]) -> str:
    verbs = _verbs(topic.rest_api, topic.table)
    words = list(dict.fromkeys(verb for method, verb in verbs.items() if method in methods))
    words += [f"call {method} of {topic.rest_api} for" for method in methods if method not in verbs]
    parts = [_listed(words)]
    api = REST_APIS.get(topic.rest_api)
    if api is None or api.has_tables:
        parts.append(_plural(topic.table))
    parts += ["that it created"] if topic.own_records else []
    only = [*_EITHER.intersection(methods)]
    parts += [f"by {only[0]} only"] if topic.rest_api == TABLE_API and len(only) == 1 else []
    parts += [f"under {topic.version}"] if topic.version != ANY else []
    clause = " ".join(parts)
    return clause if topic.fields is None else f"{clause}, setting {_fields(topic.fields)}"


def _fields(names: frozenset[str]) -> str:
    return f"only {_listed(sorted(names))}" if names else "no field"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _plural(table_name: str) -> str:
    if table_name == ANY:
        return "records of every table"
    table = find_table(table_name)
    if table is None:
        return f"records of {table_name}"
    words = [word.lower() if word[1:].islower() else word for word in table.label.split()]
    words[-1] = f"{words[-1][:-1]}ies" if words[-1].endswith("y") else f"{words[-1]}s"
    return " ".join(words)
