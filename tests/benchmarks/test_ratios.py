"""Ratios, their names, and their targets."""

from benchmarks.load import ALONE, BUSY
from benchmarks.ratios import RATIOS, Ratio, ratios_of


def test_a_ratio_at_its_target_is_reached() -> None:
    assert Ratio("f", "c", 0.4).verdict(0.4) == "reached"


def test_a_ratio_under_its_target_is_below() -> None:
    assert Ratio("f", "c", 0.4).verdict(0.39) == "below"


def test_a_ratio_without_a_target_is_reported() -> None:
    assert Ratio("i-1m", "i").verdict(0.01) == "reported"


def test_a_case_is_divided_by_its_floor() -> None:
    found = ratios_of({"h": 50.0, "g": 200.0}, ALONE)
    assert [(ratio.name, value) for ratio, value in found] == [("h / g", 0.25)]


def test_a_cost_at_its_limit_is_reached() -> None:
    """A scoped create may cost 1.25 times an unscoped one, and reading one's own 1.5 times reading one."""
    rates = {"m-unscoped": 1250.0, "m-scoped": 1000.0, "n-one": 1500.0, "n-own-1": 1000.0}
    verdicts = {ratio.name: ratio.verdict(value) for ratio, value in ratios_of(rates, BUSY)}
    assert verdicts == {"m-scoped / m-unscoped": "reached", "n-own-1 / n-one": "reached"}
    slow = rates | {"m-scoped": 999, "n-own-1": 999}
    slower = {ratio.name: ratio.verdict(value) for ratio, value in ratios_of(slow, BUSY)}
    assert set(slower.values()) == {"below"}


def test_what_was_not_measured_is_not_compared() -> None:
    assert ratios_of({"e": 100.0, "f": 100.0}, BUSY) == []


def test_the_target_of_the_peer_applies_to_a_busy_server() -> None:
    rates = {"d-rs256": 240.0, "peer": 100.0}
    verdicts = {over: [ratio.verdict(value) for ratio, value in ratios_of(rates, over)] for over in (ALONE, BUSY)}
    assert verdicts == {ALONE: ["reported"], BUSY: ["below"]}


def test_every_case_with_a_million_is_compared_with_itself() -> None:
    of_a_million = [ratio for ratio in RATIOS if ratio.case.endswith("-1m")]
    assert all(ratio.case == f"{ratio.floor}-1m" for ratio in of_a_million)
    assert {ratio.case for ratio in of_a_million if ratio.target} == {"e-1m", "f-1m", "h-1m"}
