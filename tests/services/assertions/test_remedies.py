"""Every reason code has a remedy."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import changegate
from changegate.errors import ChangegateError
from changegate.services.assertions.hints import REMEDIES

PACKAGE = Path(changegate.__file__).parent
PLACES = ("services/assertions", "services/oauth", "services/keys", "services/access", "api", "schemas")
CODE = re.compile(r"[a-z]+(?:_[a-z]+)+|expired")
VARIABLES = {"reason", "unproven", "unknown", "wrong", "fault"}
REFUSALS = re.compile(r".*(?:Refused|Invalid\w+|Client|Type|Scope|Unavailable)")
# Names of columns and members, which are texts of the same form.
NO_CODES = {"client_id", "correlation_id", "shared_key", "token_hash"}


def codes_in(node: ast.AST) -> Iterator[str]:
    """Yield the texts below a node that have the form of a reason code."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and CODE.fullmatch(inner.value):
            yield inner.value


def codes_of(tree: ast.AST) -> Iterator[str]:
    """Yield the reason codes of a module: in rules, in refusals, and where a function returns or stores one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            place = 1 if name == "RuleCheck" else 0
            if (name == "RuleCheck" or REFUSALS.fullmatch(name)) and len(node.args) > place:
                yield from codes_in(node.args[place])
        elif isinstance(node, ast.Assign):
            named = {inner.id for target in node.targets for inner in ast.walk(target) if isinstance(inner, ast.Name)}
            yield from codes_in(node.value) if named & VARIABLES else ()
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Constant | ast.IfExp):
            value = node.value
            for part in (value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,):
                yield from codes_in(part)


def all_codes() -> set[str]:
    """Return the reason codes of the product, those of the error classes among them."""
    files = [file for place in PLACES for file in (PACKAGE / place).glob("*.py") if file.name != "hints.py"]
    found = {code for file in files for code in codes_of(ast.parse(file.read_text()))}
    classes = [ChangegateError]
    for kind in classes:
        classes += kind.__subclasses__()
    return (found | {kind.reason for kind in classes if isinstance(kind.reason, str)}) - NO_CODES


def test_every_reason_code_has_a_remedy() -> None:
    found = all_codes()
    assert {"iss_mismatch", "client_unknown", "scope_invalid", "grant_not_allowed", "user_locked"} <= found
    assert len(found) > 50
    assert found - REMEDIES.keys() == set()


def test_a_remedy_is_one_or_more_sentences() -> None:
    assert [code for code, text in REMEDIES.items() if not text[0].isupper() or not text.endswith(".")] == []
