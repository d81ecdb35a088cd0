r"""The notation of a claim condition as a line of text, for the command line and YAML files.

    repository_id equals 123456                     a string; the whole rest of the line is the value
    ref glob refs/heads/release-*
    environment one_of production, staging          members are separated by commas
    run_attempt equals:number 1                     the type follows the operator; without one it is string
    email_verified equals:boolean true
    groups equals:list deployers, reviewers
    /realm_access/roles contains deploy
    namespace_id exists
    report-only: job_workflow_ref exists            checked and counted, never refuses

Claim names with spaces, strings that begin with a quotation mark, and members that contain commas are written as JSON:
`"my claim" equals "\"quoted\""`, `dn one_of ["cn=a,ou=b"]`. The first character shows whether a part is JSON, so every
line has one meaning.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

REPORT_ONLY = "report-only:"
_DECODER = json.JSONDecoder()
_OPERATOR = re.compile(r"(?P<operator>[^\s:]+)(?::(?P<type>[^\s:]+))?(?:\s+|$)")
_TYPES_IN_CONTEXT = {"contains": "list", "exists": "string"}


def parse_condition_text(text: str) -> dict[str, Any]:
    """Return the fields of a condition as `ClaimConditionSchema` loads them; raises `ValidationError`."""
    rest = text.strip()
    report_only = rest.startswith(REPORT_ONLY)
    claim, rest = _read_claim(rest.removeprefix(REPORT_ONLY).lstrip() if report_only else rest)
    match = _OPERATOR.match(rest)
    if not claim or match is None:
        raise ValidationError("Write a condition as: claim operator value. For example: repository_id equals 123456")
    operator = match["operator"]
    value_type = match["type"] or _TYPES_IN_CONTEXT.get(operator, "string")
    fields: dict[str, Any] = {"claim": claim, "operator": operator, "value_type": value_type}
    value = rest[match.end() :]
    if value:
        takes_members = operator == "one_of" or (operator == "equals" and value_type == "list")
        fields["value"] = _read_members(value) if takes_members else _read_value(value)
    return fields | {"report_only": report_only}


def render_condition_text(condition: Mapping[str, Any]) -> str:
    """Return the line that `parse_condition_text` parses to this condition, which the schema must have loaded."""
    operator, value_type = condition["operator"], condition["value_type"]
    words = [REPORT_ONLY] if condition["report_only"] else []
    words.append(_render_claim(condition["claim"]))
    is_plain = value_type == _TYPES_IN_CONTEXT.get(operator, "string")
    words.append(operator if is_plain else f"{operator}:{value_type}")
    value = condition["value"]
    if value is not None:
        words.append(_render_members(value) if isinstance(value, list) else _render_value(value))
    return " ".join(words)


def _read_claim(text: str) -> tuple[str, str]:
    if text.startswith('"'):
        claim, rest = _read_json(text)
        return str(claim), rest.lstrip()
    if not text:
        return "", ""
    words = text.split(None, 1)
    return words[0], "".join(words[1:])


def _read_value(text: str) -> Any:
    if not text.startswith('"'):
        return text
    return _read_whole_json(text)


def _read_members(text: str) -> Any:
    if text.startswith("["):
        return _read_whole_json(text)
    return [member.strip() for member in text.split(",")]


def _read_whole_json(text: str) -> Any:
    value, rest = _read_json(text)
    if rest.strip():
        raise ValidationError("Remove the text after the JSON value.")
    return value


def _read_json(text: str) -> tuple[Any, str]:
    try:
        value, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        raise ValidationError('A value that starts with " or [ must be valid JSON.') from None
    return value, text[end:]


def _render_claim(claim: str) -> str:
    is_plain = not re.search(r"\s", claim) and not claim.startswith('"') and not claim.startswith(REPORT_ONLY)
    return claim if is_plain else json.dumps(claim, ensure_ascii=False)


def _render_value(value: Any) -> str:
    is_plain = isinstance(value, str) and not value.startswith('"')
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def _render_members(members: list[Any]) -> str:
    texts = [member if isinstance(member, str) else json.dumps(member) for member in members]
    is_plain = not any("," in text for text in texts) and not texts[0].startswith("[")
    return ", ".join(texts) if is_plain else json.dumps(members, ensure_ascii=False)
