"""The rules for writes of change models."""

from collections.abc import Mapping
from typing import Any

from changegate.errors import OperationFailed
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import NoRules


class ModelRules(NoRules):
    """Rules of chg_model."""

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Refuse to delete the default model of a change type."""
        if record["sys_id"] in MODELS_OF_TYPES.values():
            raise OperationFailed(
                f"Model {record['name']} is the default of a change type. Deactivate it instead of deleting it"
            )
