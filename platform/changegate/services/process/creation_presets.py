"""Presets: values of a new change from its template, its model, or its impact, for fields that were not sent.

See docs/reference/change-records.md#priority-and-risk, #states, and #related-tables.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from changegate.database.prepared import Prepared, parameter
from changegate.errors import OperationFailed
from changegate.models import ChgModel
from changegate.models.chg_model import MODELS_OF_TYPES
from changegate.services.standard_changes.content import parse_preset
from changegate.services.standard_changes.templates import presets_of

TYPES_OF_MODELS = {model: change_type for change_type, model in MODELS_OF_TYPES.items()}
# The lowest impact, urgency, and priority, which are also the defaults.
_LOW_IMPACT = _LOW_URGENCY = 3
_LOW_PRIORITY = 4
_PRESET = Prepared(
    select(ChgModel.name, ChgModel.active, ChgModel.record_preset).where(ChgModel.sys_id == parameter("model"))
)
_MODEL = Prepared(select(ChgModel.sys_id).where(func.lower(ChgModel.name) == func.lower(parameter("name"))))


def find_presets(sent: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts for fields of a new change: those of its template, then of its model, then of its impact.

    Raises `OperationFailed` for a model that is no longer active.
    """
    presets = _preset_of_impact(sent)
    if model := sent.get("chg_model"):
        require_active(model)
        presets |= _preset_of_model(model)
    if sent.get("unauthorized"):
        presets |= {"type": "emergency"}
    if template := sent.get("std_change_producer_version"):
        presets |= presets_of(template)
    return presets


def find_model_of_type(change_type: str) -> str | None:
    """Return the sys_id of the default model of a change type, which has the same name, or None."""
    if known := MODELS_OF_TYPES.get(change_type):
        return known
    row = _MODEL.first({"name": change_type})
    return None if row is None else str(row.sys_id)


def find_type_of_model(model: str) -> str | None:
    """Return the type that a model sets, or None."""
    return TYPES_OF_MODELS.get(model) or _preset_of_model(model).get("type")


def require_active(model: str) -> None:
    """Refuse a model that is not active. Raises `OperationFailed`."""
    row = None if model in TYPES_OF_MODELS else _PRESET.first({"model": model})
    if row is not None and not row.active:
        raise OperationFailed(f"Model {row.name} is not active")


def _preset_of_impact(sent: Mapping[str, Any]) -> dict[str, str]:
    """Return the priority for the sent impact and urgency; later changes of these do not affect it."""
    impact, urgency = sent.get("impact"), sent.get("urgency")
    if not impact and not urgency:
        return {}
    priority = (impact or _LOW_IMPACT) + (urgency or _LOW_URGENCY) - 1
    return {"priority": str(max(1, min(priority, _LOW_PRIORITY)))}


def _preset_of_model(model: str) -> dict[str, str]:
    row = _PRESET.first({"model": model})
    return parse_preset(row.record_preset) if row else {}
