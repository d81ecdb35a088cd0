"""The parameters of Attachment API calls (docs/reference/other-apis.md#attachment)."""

from typing import Any

from marshmallow import fields, validate

from changegate.models.base import SYS_ID_LENGTH
from changegate.schemas.table_query import MAX_LIMIT, Count, ParameterSchema, TableQuerySchema

DEFAULT_FILES = 1000
MAX_TABLE_NAME_LENGTH = 80
MISSING = "A value is expected."


class AttachmentQuerySchema(TableQuerySchema):
    """The parameters of a list of files; they differ from the Table API's in the default limit."""

    limit = Count(
        data_key="sysparm_limit",
        load_default=DEFAULT_FILES,
        most=MAX_LIMIT,
        metadata={"description": "Maximum number of files."},
    )


def _text(most: int, description: str, **options: Any) -> fields.String:
    limit, metadata = validate.Length(max=most), {"description": description}
    return fields.String(validate=limit, error_messages={"required": MISSING}, metadata=metadata, **options)


class AttachmentTargetSchema(ParameterSchema):
    """The target of a file in a form.

    `creation_time` is ignored: the server sets the time.
    """

    table_name = _text(MAX_TABLE_NAME_LENGTH, "The table of the record.", required=True)
    table_sys_id = _text(SYS_ID_LENGTH, "The sys_id of the record.", required=True)
    encryption_context = _text(SYS_ID_LENGTH, "Stored with the file, but not used.", load_default=None)


class NamedAttachmentTargetSchema(AttachmentTargetSchema):
    """The target and the name of a raw file."""

    file_name = fields.String(
        required=True,
        error_messages={"required": MISSING},
        metadata={"description": "The name of the file, without a path."},
    )
