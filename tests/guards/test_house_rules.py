"""Rules of the house that no linter knows: proportions, and what may not be written where."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from changegate.services.catalog import TABLES
from tests.guards.source_tree import PLATFORM, PRODUCT, ROOT, calls, parsed, python_files, shown, text_files

LONGEST_FUNCTION = 45
# `postponed` and the server only read what the server itself has put into the WSGI environment, and a limit.
HTTP_PACKAGES = (
    PRODUCT / "api",
    PRODUCT / "console",
    PRODUCT / "server",
    PRODUCT / "postponed.py",
    PRODUCT / "unproxied.py",
    PLATFORM / "demo_idp",
)
HTTP_OBJECTS = {"request", "g", "session", "current_request", "request_context"}
# Named tuples, rows of SQLAlchemy, and proxies of Werkzeug have public names that look private.
DOCUMENTED = {"_make", "_asdict", "_replace", "_fields", "_mapping", "_get_current_object"}
# Joined here, so that this file does not hold what it forbids.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
REGISTRIES = re.compile(
    r"\b("
    + "|".join(
        re.escape(".".join(parts))
        for parts in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("docker", "io"),
            ("ghcr", "io"),
            ("quay", "io"),
            ("crates", "io"),
            ("jsdelivr", "net"),
            ("unpkg", "com"),
            ("cdnjs", "com"),
            ("googleapis", "com/css"),
        )
    )
    + r")\b"
)
ELSEWHERE = re.compile(r"""(?:https?:)?//[a-z0-9-]+\.[a-z0-9.-]+""", re.IGNORECASE)
# The name of a vocabulary, which nobody fetches, and examples that are shown as text.
HARMLESS = re.compile(r'xmlns="http://www\.w3\.org/2000/svg"|placeholder="[^"]*"')


def lines_with_something(path: Path) -> int:
    return sum(1 for line in path.read_text().splitlines() if line.strip())


def functions() -> Iterator[tuple[str, int]]:
    for path in python_files(PLATFORM):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{shown(path)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


def test_functions_keep_their_proportions() -> None:
    lengths = [length for _, length in functions()]
    assert median(lengths) <= 8
    assert quantiles(lengths, n=20)[-1] < LONGEST_FUNCTION


def test_no_function_is_too_long_to_be_seen_whole() -> None:
    assert not [name for name, length in functions() if length > LONGEST_FUNCTION]


def test_modules_keep_their_proportions() -> None:
    lengths = [lines_with_something(path) for path in python_files(PLATFORM)]
    assert median(lengths) < 70
    assert quantiles(lengths, n=20)[-1] < 230


def test_nothing_is_left_for_later() -> None:
    found = [
        f"{shown(path)}:{number}"
        for path in text_files()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not found


def test_no_page_loads_anything_from_elsewhere() -> None:
    pages = [path for path in text_files(PLATFORM) if path.parent.name == "static" or "templates" in path.parts]
    assert pages
    found = [
        f"{shown(path)}: {match[0]}"
        for path in pages
        for match in ELSEWHERE.finditer(HARMLESS.sub("", path.read_text()))
    ]
    assert not found


def test_no_file_names_the_host_of_a_registry() -> None:
    """The source of packages is the choice of the person who installs them."""
    found = [f"{shown(path)}: {match[0]}" for path in text_files() if (match := REGISTRIES.search(path.read_text()))]
    assert not found


def test_http_is_used_only_in_its_packages() -> None:
    others = [
        shown(path)
        for path in python_files(PLATFORM, ROOT / "migrations")
        if not any(path.is_relative_to(package) for package in HTTP_PACKAGES) and touches_http(parsed(path))
    ]
    assert not others


def test_the_rule_about_http_sees_both_ways_of_naming_it() -> None:
    assert touches_http(ast.parse("from flask import Flask, g"))
    assert touches_http(ast.parse("import flask\nflask.request.args"))
    assert touches_http(ast.parse("from changegate.unproxied import current_request"))
    assert not touches_http(ast.parse("from flask import Request\ndb.session.commit()"))


def touches_http(module: ast.Module) -> bool:
    imported = {
        alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("flask", "changegate.unproxied"))
        for alias in node.names
    }
    named = {
        node.attr
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "flask"
    }
    return not HTTP_OBJECTS.isdisjoint(imported | named)


# What compares a password or secret with what is stored, and the only functions that may.
COMPARISONS = {"check_password_hash", "compare_digest"}
GUARDED = {
    "platform/changegate/services/users/verified_passwords.py:is_right": "_guess",
    "platform/changegate/services/oauth/secrets.py:is_right_secret": "_guess",
    # A signature: it is as long as its key, and there is nothing to guess.
    "platform/changegate/services/keys/shared_key.py:is_signed_by": None,
}


def test_no_private_name_of_another_package_is_used() -> None:
    found = {shown(path): names for path in python_files(PLATFORM) if (names := private_names(parsed(path)))}
    assert not found


def test_the_rule_about_private_names_sees_attributes_and_imports() -> None:
    source = "from sqlalchemy.sql import _typing\nclause._cache_key()\nself._own = row._mapping\nother._own"
    assert private_names(ast.parse(source)) == {"_typing", "_cache_key"}


def private_names(module: ast.Module) -> set[str]:
    """Return the private names that a module uses and does not define itself."""
    nodes = list(ast.walk(module))
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    own |= {node.target.id for node in nodes if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    own |= {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    # Of the class itself or one that it extends.
    used = {node.attr for node in attributes if ast.unparse(node.value) not in {"self", "cls", "super()"}}
    used |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    return {name for name in used - own - DOCUMENTED if name.startswith("_") and not name.endswith("__")}


def test_a_password_or_secret_is_compared_only_where_there_is_room_to_guess() -> None:
    """A comparison takes a `Guess`, which only the failure limit makes, so that no door can forget to ask it."""
    found = {name: node for name, node in all_functions() if calls(node) & COMPARISONS}
    assert found.keys() == GUARDED.keys()
    for name, argument in GUARDED.items():
        annotated = {given.arg: ast.unparse(given.annotation) for given in found[name].args.args if given.annotation}
        assert argument is None or annotated[argument] == "Guess"
    makers = {name for name, node in all_functions() if "Guess" in calls(node)}
    assert makers == {"platform/changegate/failure_limit.py:require_room_to_guess"}


def all_functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in python_files(PRODUCT):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                yield f"{shown(path)}:{node.name}", node


# The tables that the engine keeps itself; then its field for classes, a parameter, a column of its tiny URLs, and a
# group of a pattern.
TABLES_OF_THE_ENGINE = ("sys_audit", "sys_choice", "sys_db_object", "sys_dictionary", "sys_journal_field")
WORDS_OF_THE_ENGINE = {"sys_class_name", "owner", "entity", "table", "expires_at"}


def test_the_table_engine_names_no_table_and_no_field_of_the_catalog() -> None:
    own = {name for table in TABLES_OF_THE_ENGINE for name in TABLES[table].source.c.keys()} | WORDS_OF_THE_ENGINE
    fields = {name for table in TABLES.values() for name in (*table.source.c.keys(), *table.blank_fields)}
    foreign = TABLES.keys() | (fields - own)
    named = [
        f"{shown(path)}:{node.lineno}: {node.value}"
        for path in python_files(PRODUCT / "services" / "tables")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in foreign
    ]
    assert not named


def test_services_leave_the_differences_of_the_databases_to_the_database_package() -> None:
    """One exception: numbers come from sequences where the database has them (docs/data-access.md)."""
    asking = {
        shown(path)
        for path in python_files(PRODUCT / "services")
        for node in ast.walk(parsed(path))
        if (isinstance(node, ast.Attribute) and node.attr == "dialect")
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy.dialects"))
    }
    assert asking == {"platform/changegate/services/process/numbering.py"}
