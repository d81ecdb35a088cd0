"""Which tests a worker of pytest-xdist takes together, which come first, and whose lines need not be noted."""

from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# Folders whose tests share servers; a second worker would start them once more.
TOGETHER = ("tests/browser/", "tests/clients/", "tests/e2e/", "tests/identity_providers/")
# What takes longest comes first, or one worker would be at it long after the other has finished.
FIRST = (
    "tests/api/test_schemathesis.py",
    "tests/e2e/",
    "tests/benchmarks/test_query_plans.py",
    "tests/benchmarks/test_stage.py",
    "tests/browser/",
    "tests/cli/test_serve.py",
    "tests/cli/test_demo.py",
    "tests/guards/test_documented_calls.py",
    "tests/services/tables/queries/test_query_measure.py",
    "tests/clients/",
    "tests/identity_providers/",
)
# With these, what `make check` leaves out: processes, browsers, pages, properties with hundreds of examples.
SLOW = (
    *FIRST,
    "tests/api/test_long_requests.py",
    "tests/api/test_wire.py",
    "tests/benchmarks/",
    "tests/cli/",
    "tests/console/",
    "tests/demo_idp/",
    "tests/guards/test_migrations.py",
    "tests/regressions/test_fuzzing.py",
    "tests/regressions/test_id_tokens.py::test_any_token_is_answered",
    "tests/regressions/test_playbooks.py",
    "tests/regressions/test_supplied_keys.py::test_a_flood_of_invented_kids",
    "tests/server/",
    "tests/services/assertions/test_assertion_properties.py",
    "tests/services/hygiene/",
    "tests/services/integrations/test_snippet_attacks.py",
    "tests/services/oauth/test_exchange_figures.py",
    "tests/services/tables/queries/test_query_",
    "tests/test_config.py",
)

# What tries the same lines over and over, which quicker tests show too; to note them takes as long as to run them.
REPEATING = (
    "tests/api/test_schemathesis.py",
    "tests/cli/test_integration_files.py",
    "tests/clients/",
    "tests/identity_providers/",
    "tests/regressions/",
    "tests/services/assertions/test_assertion_properties.py",
    "tests/services/provenance/test_claim_layouts.py",
    "tests/services/tables/queries/test_query_",
)


class ByFileOrFolder(LoadFileScheduling):
    """Gives a worker a file at a time, or a whole folder whose tests share servers."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False  # it would go by how many tests there are, not by how long they take
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in TOGETHER if nodeid.startswith(folder)), super()._split_scope(nodeid))


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return tests in the order in which workers are to take them."""
    return sorted(items, key=_place)


def is_repeating(item: pytest.Item) -> bool:
    """Return whether the lines that a test runs need not be noted."""
    return item.nodeid.startswith(REPEATING)


def is_slow(item: pytest.Item) -> bool:
    """Return whether `make check` leaves a test out, as it does with the second database."""
    return item.nodeid.startswith(SLOW) or "postgresql" in item.name


def _place(item: pytest.Item) -> int:
    return next((place for place, path in enumerate(FIRST) if item.nodeid.startswith(path)), len(FIRST))
