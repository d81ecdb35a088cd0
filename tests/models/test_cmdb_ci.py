"""Configuration items."""

from changegate.models.cmdb_ci import OPERATIONAL_STATUSES


def test_has_the_operational_statuses_of_servicenow() -> None:
    assert [*OPERATIONAL_STATUSES] == [str(value) for value in range(1, 9)]
    assert (OPERATIONAL_STATUSES["4"], OPERATIONAL_STATUSES["8"]) == ("DR Standby", "Catalog")
