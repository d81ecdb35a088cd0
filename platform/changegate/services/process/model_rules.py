"""What happens when a change model is written."""

from collections.abc import Mapping
from typing import Any

from changegate.errors import OperationFailed
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.access.caller import Caller
from changegate.services.tables.registry import NoRules


class ModelRules(NoRules):
    """Writes to chg_model."""

    def before_delete(self, record: Mapping[str, Any], caller: Caller) -> None:
        """Keep the models that new changes are of unless they say otherwise."""
        if record["sys_id"] in MODELS_OF_TYPES.values():
            raise OperationFailed(f"The model {record['name']} is what changes of a type are of; it can be inactive")
