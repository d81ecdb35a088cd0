"""The parameters of Attachment API calls (rest_api.md §3.3)."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, pre_load, validate

from changegate.schemas.table_query import MAX_LIMIT, Count, TableQuerySchema

DEFAULT_LIMIT = 1000
MAX_NAME_LENGTH = 80
SYS_ID_LENGTH = 32
MISSING = "A value is expected."


class AttachmentQuerySchema(TableQuerySchema):
    """The parameters of a list of files, which differ from the Table API's in how many there are by default."""

    limit = Count(
        data_key="sysparm_limit",
        load_default=DEFAULT_LIMIT,
        most=MAX_LIMIT,
        metadata={"description": "How many files at most."},
    )


def _text(most: int, description: str, **options: Any) -> fields.String:
    limit, metadata = validate.Length(max=most), {"description": description}
    return fields.String(validate=limit, error_messages={"required": MISSING}, metadata=metadata, **options)


class AttachmentTargetSchema(Schema):
    """Where a file goes; an empty value is the same as an absent one, and what is not named here is ignored.

    `creation_time` is among the ignored: when a file came is for the server to say.
    """

    class Meta:
        """Ignore what is not named here."""

        unknown = EXCLUDE

    table_name = _text(MAX_NAME_LENGTH, "The table of the record that gets the file.", required=True)
    table_sys_id = _text(SYS_ID_LENGTH, "The record that gets the file.", required=True)
    encryption_context = _text(SYS_ID_LENGTH, "Kept with the file, and nothing else.", load_default=None)

    @pre_load
    def drop_empty(self, data: Mapping[str, str], **_kwargs: Any) -> dict[str, str]:
        """Leave out empty values."""
        return {name: value for name, value in data.items() if value != ""}


class NamedAttachmentTargetSchema(AttachmentTargetSchema):
    """Where a file goes that does not say its own name."""

    file_name = fields.String(
        required=True, error_messages={"required": MISSING}, metadata={"description": "The name of the file; no path."}
    )
