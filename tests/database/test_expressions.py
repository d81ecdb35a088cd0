"""Expressions: their shape decides the SQL, whatever the values are."""

import operator
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Integer, String, and_, bindparam, column, false, func

from changegate.database.expressions import Expression, Value

NAME, SIZE = column("name", String), column("size", Integer)


def in_list(of: ColumnElement[Any], values: Any) -> ColumnElement[bool]:
    return of.in_(values)


def is_named(name: str, size: Any = 1) -> Expression:
    return Expression(and_, Expression(operator.eq, NAME, Value(name)), Expression(operator.gt, SIZE, Value(size)))


def test_expressions_that_differ_in_values_have_one_shape() -> None:
    assert is_named("x").shape == is_named("y", 2).shape
    assert hash(is_named("x").shape) == hash(is_named("y", 2).shape)
    assert is_named("x").parameters == {"value_0": "x", "value_1": 1}
    assert str(is_named("y").build_named()) == "name = :value_0 AND size > :value_1"


@pytest.mark.parametrize(
    "other",
    [
        Expression(operator.ne, NAME, Value("x")),
        Expression(operator.eq, SIZE, Value("x")),
        Expression(operator.eq, NAME, Value("x", String)),
        Expression(operator.eq, NAME, "x"),
        Expression(operator.eq, NAME, Value(["x"])),
        Expression(operator.eq, NAME, Value("x"), Value("x")),
        Expression(operator.eq, NAME, Expression(func.lower, Value("x"))),
    ],
)
def test_whatever_changes_the_sql_changes_the_shape(other: Expression) -> None:
    assert other.shape != Expression(operator.eq, NAME, Value("x")).shape


def test_lists_of_different_lengths_have_different_shapes() -> None:
    shapes = [Expression(in_list, NAME, Value(names)).shape for names in (["x"], ["y"], ["x", "y"])]
    assert shapes[0] == shapes[1] != shapes[2]


def test_a_value_has_the_type_of_the_column_unless_it_has_its_own() -> None:
    compared = Expression(operator.eq, SIZE, Value("x")).build()
    typed = Expression(operator.eq, SIZE, Value("x", String)).build()
    assert (type(compared.right.type), type(typed.right.type)) == (Integer, String)


def test_a_parameter_that_the_sql_leaves_out_counts_in_the_numbers_of_the_others() -> None:
    dropped = Expression(and_, Expression(false), Expression(operator.eq, NAME, Value("x")))
    both = Expression(operator.or_, dropped, Expression(operator.gt, SIZE, Value(3)))
    assert str(both.build_named()) == "false OR size > :value_1"
    assert both.parameters["value_1"] == 3


def test_expressions_with_their_values_can_be_combined() -> None:
    combined = and_(is_named("x", 1).build(), is_named("y", 2).build(), NAME != bindparam("value_0", "z"))
    assert sorted(map(str, combined.compile().params.values())) == ["1", "2", "x", "y", "z"]


def test_the_size_counts_functions_values_and_items_of_lists() -> None:
    assert is_named("x").size == 5
    assert Expression(in_list, NAME, Value(["x", "y", "z"])).size == 4
