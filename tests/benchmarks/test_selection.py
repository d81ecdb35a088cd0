"""Some cases can be measured alone, with those that they are compared with."""

import pytest
from benchmarks.errors import BenchFailed
from benchmarks.ratios import RATIOS
from benchmarks.selection import NAMES, OF_A_MILLION, SCOPES, TRUST, Selection, select


def test_all_cases_are_measured_by_default() -> None:
    assert select(None).names == set(NAMES)
    assert select(None).is_all


def test_a_letter_selects_all_its_cases() -> None:
    assert {name for name in NAMES if name.startswith("d-")} <= select("d").names


def test_a_case_is_measured_with_those_it_is_compared_with() -> None:
    assert select("d-flood, j").names == {"d-flood", "d-calm", "j"}
    assert not select("d-flood").is_all


def test_a_word_selects_a_group() -> None:
    assert select("scopes").names == {*SCOPES, "f"}
    assert not select("scopes").wants(*OF_A_MILLION, *TRUST)


def test_a_name_with_a_hyphen_is_that_case_alone() -> None:
    assert select("b-unsigned").names == {"b-unsigned"}


def test_only_its_own_cases_need_the_million() -> None:
    assert select("f").wants(*OF_A_MILLION)
    assert not select("d,g").wants(*OF_A_MILLION)


def test_an_unknown_case_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(BenchFailed, match=r"no case 'z'\. There are: a, b, b-unsigned"):
        select("d,z")


def test_every_case_that_is_compared_can_be_selected() -> None:
    assert {name for ratio in RATIOS for name in (ratio.case, ratio.floor)} <= Selection().names
