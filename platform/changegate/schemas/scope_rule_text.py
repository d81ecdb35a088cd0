"""The notation of a scope rule as a line of text, for the command line and YAML files.

    POST table change_request                       the method, the API, the table
    PATCH table change_request fields=description,work_notes own
    GET stats change_request own                    only what the integration created
    * table * version=v2                            every method and table, under one version
    GET attachment change_request inactive          kept, but switched off
    POST introspect                                 an API without tables

APIs are named by the last part of their path: `table` is `now/table`.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from changegate.models.auth_scope import ANY, REST_APIS

SHAPE = "Write a rule as: METHOD API TABLE [fields=A,B] [own] [version=V] [inactive]. For example: GET table task own"
ALIASES = {api.rpartition("/")[2]: api for api in REST_APIS}
_FIELDS, _VERSION, _OWN, _INACTIVE = "fields=", "version=", "own", "inactive"


def parse_rule_text(text: str) -> dict[str, Any]:
    """Return the fields of a rule as `ScopeRuleSchema` loads them; raises `ValidationError`."""
    method, api, *rest = [*text.split(), "", ""][: max(2, len(text.split()))]
    if not api:
        raise ValidationError(SHAPE)
    rule: dict[str, Any] = {"http_method": method, "rest_api": ALIASES.get(api, api)}
    known = REST_APIS.get(rule["rest_api"])
    if rest and (known is None or known.has_tables):
        rule["table"] = rest.pop(0)
    for word in rest:
        name, value = _extra(word)
        if name in rule:
            raise ValidationError(f"{name} is given more than once.")
        rule[name] = value
    return rule


def render_rule_text(rule: Mapping[str, Any]) -> str:
    """Return the line that `parse_rule_text` parses to this rule, which the schema must have loaded."""
    api = REST_APIS.get(rule["rest_api"])
    words = [rule["http_method"], rule["rest_api"].rpartition("/")[2] if api else rule["rest_api"]]
    words += [rule["table"]] if api is None or api.has_tables else []
    if rule["writable_fields"] is not None:
        words.append(_FIELDS + ",".join(rule["writable_fields"]))
    words += [_OWN] if rule["own_records"] else []
    words += [f"{_VERSION}{rule['version']}"] if rule["version"] != ANY else []
    words += [] if rule["active"] else [_INACTIVE]
    return " ".join(words)


def _extra(word: str) -> tuple[str, Any]:
    if word == _OWN:
        return "own_records", True
    if word == _INACTIVE:
        return "active", False
    if word.startswith(_VERSION):
        return "version", word.removeprefix(_VERSION)
    if word.startswith(_FIELDS):
        return "writable_fields", [name for name in word.removeprefix(_FIELDS).split(",") if name]
    raise ValidationError(f"{word[:40]} is not part of a rule. {SHAPE}")
