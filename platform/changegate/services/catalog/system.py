"""System tables: choices, journals, audit, attachments, the dictionary, and integrations."""

from functools import partial

from changegate.models import (
    JwtVerifierMap,
    OAuthEntity,
    SysAttachment,
    SysAudit,
    SysAuthScope,
    SysCertificate,
    SysChoice,
    SysDbObject,
    SysDictionary,
    SysEmail,
    SysJournalField,
)
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.catalog.access import (
    ADMINISTRATORS,
    CHANGE_READERS,
    READ_BY_ANYONE,
    READ_BY_INTEGRATION_ADMINISTRATORS,
    REFERENCE_DATA,
    attachments_of_changes,
    audit_of_tasks,
    own_attachments,
    own_integrations,
    own_journals,
    rows_of_own_integrations,
)
from changegate.services.oauth.log_tables import EVENT_ENTRIES, EVENTS, TOKEN_ENTRIES, TOKENS
from changegate.services.tables.choices import ChoiceRules
from changegate.services.tables.registry import Access, Table, View

# Owners of integrations read the events and tokens of their own ones.
_log_view = partial(
    View,
    display_field="sys_id",
    access=READ_BY_ANYONE,
    own_rows=rows_of_own_integrations,
    reads_all=INTEGRATION_ADMINISTRATORS,
    origin_field="entity",
    is_audited=False,
    # A correlation ID begins with its time.
    sorted_as={"sys_created_on": "sys_id"},
)
SYSTEM_TABLES = (
    Table("sys_choice", "Choice", SysChoice, "label", REFERENCE_DATA, ChoiceRules()),
    Table(
        name="sys_journal_field",
        label="Journal Entry",
        model=SysJournalField,
        display_field="element",
        access=READ_BY_ANYONE,
        own_rows=own_journals,
        reads_all=CHANGE_READERS,
        is_audited=False,
    ),
    Table(
        name="sys_audit",
        label="Audit",
        model=SysAudit,
        display_field="fieldname",
        access=Access(read=CHANGE_READERS),
        own_rows=audit_of_tasks,
        reads_all=ADMINISTRATORS,
        is_audited=False,
    ),
    # Read only: files are written through the Attachment API, which also stores their bytes.
    Table(
        name="sys_attachment",
        label="Attachment",
        model=SysAttachment,
        display_field="file_name",
        access=READ_BY_ANYONE,
        own_rows=own_attachments,
        reads_all=CHANGE_READERS,
        shown_rows=attachments_of_changes,
        reads_hidden=ADMINISTRATORS,
        blank_fields=("sys_tags",),
        is_audited=False,
    ),
    Table("sys_db_object", "Table", SysDbObject, "label", READ_BY_ANYONE, is_audited=False),
    Table("sys_dictionary", "Dictionary Entry", SysDictionary, "column_label", READ_BY_ANYONE, is_audited=False),
    # Read only: integrations are written through the console and the admin API, which validate every field.
    Table(
        name="oauth_entity",
        label="OAuth Application",
        model=OAuthEntity,
        display_field="name",
        access=READ_BY_ANYONE,
        own_rows=own_integrations,
        reads_all=INTEGRATION_ADMINISTRATORS,
    ),
    _log_view("oauth_exchange", "Token Event", EVENTS, declared=EVENT_ENTRIES),
    _log_view("oauth_credential", "Token", TOKENS, declared=TOKEN_ENTRIES),
    Table("sys_auth_scope", "Auth Scope", SysAuthScope, "name", READ_BY_INTEGRATION_ADMINISTRATORS),
    Table("sys_certificate", "X.509 Certificate", SysCertificate, "name", READ_BY_INTEGRATION_ADMINISTRATORS),
    Table("jwt_verifier_map", "JWT Verifier Map", JwtVerifierMap, "name", READ_BY_INTEGRATION_ADMINISTRATORS),
    # Read only: the job that sends mail writes it.
    Table(
        name="sys_email",
        label="Email",
        model=SysEmail,
        display_field="subject",
        access=Access(read=ADMINISTRATORS),
        is_audited=False,
        is_closed_to_tokens=True,
    ),
)
