"""`make mutate`: mutmut over the rules of assertions, access, moves, and approvals, without mutants of mere words.

mutmut has no option for either: which kinds of changes to make, and which of the tests that reach a function to run.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import TypeGuard

import libcst as cst
from mutmut import __main__ as mutmut
from mutmut.mutation import file_mutation, mutators
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import get_module_from_key

# Calls that only put something into words, and errors: other words are no other rule.
WORDING = {"describe", "_describe_keys", "_describe_shape", "_where", "_unexpected", "name_missing_scopes"}
ERRORS = {"AccessRefused", "InputInvalid", "Phrase", "ValueError", "cast"}
# The last two arguments of `RuleCheck(rule, reason, expected, received)` are shown and not read by any rule.
CHECK, RULE_AND_REASON = "RuleCheck", 2
# Rules of access need requests to be tested; for those of assertions the other tests are enough, and faster.
OVER_HTTP = {
    "changegate.api.auth",
    "changegate.services.access.caller",
    "changegate.services.access.permissions",
    "changegate.services.scopes.checks",
    "changegate.services.scopes.rules",
    "changegate.services.access.scope_policy",
    "changegate.services.tables.visibility",
}
# What these make is remembered in a process, so mutmut notes a function for the first of the tests that need it.
REMEMBERED = {
    "changegate.services.assertions.claim_comparisons",
    "changegate.services.assertions.claim_conditions",
    "changegate.services.scopes.rules",
    "changegate.services.assertions.trust_policy",
}


def main() -> None:
    """Generate the mutants, test them, and print those that survive, module by module."""
    file_mutation.NEVER_MUTATE_FUNCTION_NAMES |= WORDING
    file_mutation.NEVER_MUTATE_FUNCTION_CALLS |= WORDING | ERRORS
    operators = mutators.mutation_operators
    operators[operators.index((cst.BaseString, mutators.operator_string))] = (cst.BaseString, change_name)
    operators[operators.index((cst.Call, mutators.operator_arg_removal))] = (cst.Call, change_argument)
    skip = file_mutation.MutationVisitor._skip_node_and_children
    shown: set[int] = set()

    def skip_wording(visitor: file_mutation.MutationVisitor, node: cst.CSTNode) -> bool:
        if is_check(node):
            shown.update(id(argument) for argument in node.args[RULE_AND_REASON:])
        return id(node) in shown or skip(visitor, node)

    file_mutation.MutationVisitor._skip_node_and_children = skip_wording
    collect = mutmut.collect_or_load_stats

    def collect_nearest(*args: object, **options: object) -> None:
        collect(*args, **options)
        tests_of = state().tests_by_mangled_function_name
        tests_of |= {function: nearest(function, tests_of) for function in tests_of}

    mutmut.collect_or_load_stats = collect_nearest
    mutmut._run(sys.argv[1:], 2)
    report()


def is_check(node: cst.CSTNode) -> TypeGuard[cst.Call]:
    """Return whether an expression makes the result of a rule."""
    return isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value == CHECK


def is_text_for_people(node: cst.CSTNode) -> bool:
    """Return whether an expression is a text with blanks, and so the name of nothing."""
    return isinstance(node, cst.BaseString) and " " in getattr(node, "value", " ")


def change_name(node: cst.BaseString) -> Iterator[cst.BaseString]:
    """Change a string that may be a name, once."""
    if not is_text_for_people(node):
        yield from list(mutators.operator_string(node))[:1]


def change_argument(node: cst.Call) -> Iterator[cst.Call]:
    """Put None in place of each argument, and leave out the last: without one before it, nearly all calls raise."""
    if not is_check(node) and not any(is_text_for_people(argument.value) for argument in node.args):
        changes = list(mutators.operator_arg_removal(node))
        yield from changes if len(node.args) < 2 else [*changes[: -len(node.args)], changes[-1]]


def nearest(function: str, tests_of: dict[str, set[str]]) -> list[str]:
    """Return the tests to run for a function, those of services first, and those of a file beside each other."""
    tests, module = tests_of[function], get_module_from_key(function)
    if module in REMEMBERED:
        tests = set().union(*(tests for name, tests in tests_of.items() if get_module_from_key(name) == module))
    if module not in OVER_HTTP:
        tests = {test for test in tests if not test.startswith("tests/api/")} or tests
    return sorted(tests, reverse=True)


def report() -> None:
    """Print the number of mutants by outcome, and the change of each that no test notices."""
    outcomes: Counter[str] = Counter()
    mutants, _ = mutmut.collect_source_file_mutation_data(mutant_names=sys.argv[1:])
    for data, name, _ in mutants:
        status = status_by_exit_code[data.exit_code_by_key[name]]
        outcomes[status] += 1
        if status not in ("killed", "timeout"):
            diff = get_diff_for_mutant(name, path=data.path).splitlines()[2:]
            sys.stdout.write("\n".join([f"{status}: {name}", *(line for line in diff if line[0] in "+-"), ""]))
    sys.stdout.write(f"{outcomes.total()} mutants: {', '.join(f'{n} {status}' for status, n in outcomes.items())}\n")


if __name__ == "__main__":
    main()
