"""Public constants have one definition each, so that a name has one value in the whole product."""

import ast
from collections import defaultdict

from tests.guards.source_tree import PRODUCT, parsed, python_files, shown

# What limits and literals are made of. Tables, statements, and collections of objects belong to their module.
LITERALS = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)


def test_no_public_limit_is_defined_twice() -> None:
    places = defaultdict(list)
    for path in python_files(PRODUCT):
        for name, value in constants(parsed(path)):
            if is_limit(value):
                places[name].append(shown(path))
    assert len(places) > 100
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}


def test_no_public_constant_is_a_copy_of_another() -> None:
    places = defaultdict(list)
    for path in python_files(PRODUCT):
        for name, value in constants(parsed(path)):
            if is_data(value):
                places[name, ast.unparse(value)].append(shown(path))
    assert len(places) > 300
    assert not {name: paths for (name, _), paths in places.items() if len(paths) > 1}


def test_limits_and_data_are_recognized() -> None:
    source = "A = 64 * 1024\nB = timedelta(days=7)\nC = 'x'\nD = frozenset({'x'})\nE = Prepared(select(x))\n_F = 1"
    found = dict(constants(ast.parse(source)))
    assert [name for name, value in found.items() if is_limit(value)] == ["A", "B"]
    assert [name for name, value in found.items() if is_data(value)] == ["A", "B", "C", "D"]


def constants(module: ast.Module) -> list[tuple[str, ast.expr]]:
    """Return the public constants of a module and their values."""
    assigned = [
        (target.id, node.value)
        for node in module.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    ]
    return [(name, value) for name, value in assigned if name.isupper() and not name.startswith("_")]


def is_limit(value: ast.expr) -> bool:
    """Return whether a value is a number or a duration."""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) == "timedelta"
    return is_data(value) and not any(
        isinstance(node, ast.Constant) and not isinstance(node.value, int | float) for node in ast.walk(value)
    )


def is_data(value: ast.expr) -> bool:
    """Return whether a value is a literal, or a duration or frozen set of literals."""
    if isinstance(value, ast.Call):
        arguments = [*value.args, *(keyword.value for keyword in value.keywords)]
        return ast.unparse(value.func) in {"timedelta", "frozenset"} and all(map(is_data, arguments))
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return all(map(is_data, value.elts))
    return all(isinstance(node, LITERALS) for node in ast.walk(value))


def test_no_two_classes_have_one_name() -> None:
    places = defaultdict(list)
    for path in python_files(PRODUCT):
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(shown(path))
    for path in python_files(PRODUCT):
        for name in aliases(parsed(path)) & places.keys():
            places[name].append(shown(path))
    assert len(places) > 200
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}


def aliases(module: ast.Module) -> set[str]:
    """Return the names in camel case that a module assigns: types under another name."""
    targets = [target for node in module.body if isinstance(node, ast.Assign) for target in node.targets]
    return {target.id for target in targets if isinstance(target, ast.Name) and not target.id.isupper()}
