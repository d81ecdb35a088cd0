"""The schemas of inbound integrations, one for each connection type, for form, command line, files, and admin API."""

from changegate.schemas.integration.base import IntegrationSchema
from changegate.schemas.integration.types import SCHEMAS, load_fields, type_of

__all__ = ["SCHEMAS", "IntegrationSchema", "load_fields", "type_of"]
