"""Tables of reference data: users, groups, roles, and configuration items."""

from typing import Any

from changegate.models import (
    CmdbCi,
    CmdbRelCi,
    OidcClaimMapping,
    OidcProviderConfiguration,
    SysFilter,
    SysGroupHasRole,
    SysUser,
    SysUserDelegate,
    SysUserGroup,
    SysUserGroupMember,
    SysUserHasRole,
    SysUserIdentity,
    SysUserRole,
)
from changegate.models.cmdb_ci import CI_CLASSES
from changegate.services.access.permissions import INTEGRATION_ADMINISTRATORS
from changegate.services.approvals.delegation import DelegationRules
from changegate.services.approvals.departures import (
    GroupOfPeopleRules,
    MemberRules,
    PersonRules,
    RoleOfGroupRules,
    RoleOfUserRules,
)
from changegate.services.catalog.access import (
    ADMINISTRATORS,
    CHANGE_READERS,
    ONLY_ADMINISTRATORS,
    READ_BY_ANYONE,
    REFERENCE_DATA,
    is_own_group,
    own_and_shared_rows,
    own_delegations,
    roles_of_own_groups,
    rows_of_caller,
)
from changegate.services.notifications.observers import DelegationObserver
from changegate.services.process.affected_ci_rules import CiRules
from changegate.services.process.conflict_checks import RelationRules
from changegate.services.single_sign_on.rules import IdentityRules, MappingRules, ProviderRules
from changegate.services.tables.registry import ANYONE, Access, OwnGroups, OwnRows, Table
from changegate.services.tables.rules import Rules
from changegate.services.users.preferences import FilterRules
from changegate.services.users.roles import RoleRules


def _reference_data(
    name: str,
    label: str,
    model: type[Any],
    display_field: str,
    rules: Rules | None = None,
    filled_by_rules: tuple[str, ...] = (),
    parts: tuple[tuple[str, str], ...] = (),
    own_rows: OwnRows | None = None,
    own_groups: OwnGroups | None = None,
    login_field: str | None = None,
    is_closed_to_tokens: bool = False,
    restated_fields: frozenset[str] = frozenset(),
) -> Table:
    """Return a table that only administrators write, and that all callers read, or only their `own_rows`."""
    return Table(
        name=name,
        label=label,
        model=model,
        display_field=display_field,
        access=REFERENCE_DATA,
        rules=rules or Rules(),
        filled_by_rules=filled_by_rules,
        parts=parts,
        own_rows=own_rows,
        reads_all=INTEGRATION_ADMINISTRATORS if own_rows else ANYONE,
        blank_fields=("sys_tags",),
        own_groups=own_groups,
        login_field=login_field,
        is_closed_to_tokens=is_closed_to_tokens,
        restated_fields=restated_fields,
    )


PARTS_OF_ROLES = (("sys_user_has_role", "role"), ("sys_group_has_role", "role"), ("oidc_claim_mapping", "role"))
PARTS_OF_CIS = (
    ("task_ci", "ci_item"),
    ("task_cmdb_ci_service", "cmdb_ci_service"),
    ("cmdb_rel_ci", "parent"),
    ("cmdb_rel_ci", "child"),
)
REFERENCE_TABLES = (
    _reference_data(
        "sys_user",
        "User",
        SysUser,
        "name",
        PersonRules(),
        filled_by_rules=("name",),
        parts=(
            ("sys_user_grmember", "user"),
            ("sys_user_has_role", "user"),
            ("sys_user_identity", "user"),
            ("sys_user_delegate", "user"),
            ("sys_user_delegate", "delegate"),
            ("sys_filter", "user"),
        ),
        login_field="user_name",
        # Sent with another email, it confirms that this one is verified, too.
        restated_fields=frozenset({"email_verified"}),
    ),
    _reference_data(
        "sys_user_group",
        "Group",
        SysUserGroup,
        "name",
        GroupOfPeopleRules(),
        parts=(("sys_user_grmember", "group"), ("sys_group_has_role", "group"), ("oidc_claim_mapping", "group")),
        own_groups=is_own_group,
    ),
    _reference_data("sys_user_grmember", "Group Member", SysUserGroupMember, "sys_id", MemberRules()),
    _reference_data("sys_user_role", "Role", SysUserRole, "name", RoleRules(), parts=PARTS_OF_ROLES),
    _reference_data(
        "sys_user_has_role", "User Role", SysUserHasRole, "sys_id", RoleOfUserRules(), own_rows=rows_of_caller
    ),
    _reference_data(
        "sys_group_has_role", "Group Role", SysGroupHasRole, "sys_id", RoleOfGroupRules(), own_rows=roles_of_own_groups
    ),
    # Identities determine which accounts belong to one person.
    _reference_data(
        "sys_user_identity",
        "User Identity",
        SysUserIdentity,
        "subject",
        IdentityRules(),
        own_rows=rows_of_caller,
        is_closed_to_tokens=True,
    ),
    Table(
        name="oidc_provider_configuration",
        label="Identity Provider",
        model=OidcProviderConfiguration,
        display_field="name",
        access=ONLY_ADMINISTRATORS,
        rules=ProviderRules(),
        parts=(("oidc_claim_mapping", "provider"),),
        is_closed_to_tokens=True,
    ),
    Table(
        name="oidc_claim_mapping",
        label="Claim Mapping",
        model=OidcClaimMapping,
        display_field="value",
        access=ONLY_ADMINISTRATORS,
        rules=MappingRules(),
        is_closed_to_tokens=True,
    ),
    # Any caller may delegate. `DelegationRules` refuses writes by others.
    Table(
        name="sys_user_delegate",
        label="Delegate",
        model=SysUserDelegate,
        display_field="sys_id",
        access=Access(read=ANYONE, create=ANYONE, update=ANYONE, delete=ANYONE),
        rules=DelegationRules(),
        observer=DelegationObserver(),
        write_limit="Users delegate their own approvals, and administrators those of others.",
        filled_by_rules=("user", "starts"),
        own_rows=own_delegations,
        reads_all=CHANGE_READERS,
        blank_fields=("sys_tags",),
        is_closed_to_tokens=True,
    ),
    # Every user saves filters. `FilterRules` refuses writes to those of others.
    Table(
        name="sys_filter",
        label="Filter",
        model=SysFilter,
        display_field="title",
        access=Access(read=ANYONE, create=ANYONE, update=ANYONE, delete=ANYONE),
        rules=FilterRules(),
        write_limit="Users save filters for themselves, and administrators for all.",
        own_rows=own_and_shared_rows,
        reads_all=ADMINISTRATORS,
        is_closed_to_tokens=True,
    ),
    _reference_data("cmdb_ci", "Configuration Item", CmdbCi, "name", CiRules(), parts=PARTS_OF_CIS),
    _reference_data("cmdb_rel_ci", "CI Relationship", CmdbRelCi, "sys_id", RelationRules()),
)
# An offering is a service.
CLASSES_OF_CLASS = {"cmdb_ci_service": ("cmdb_ci_service", "service_offering")}
# Each class of configuration items can be read under its own name. All of them are written through cmdb_ci.
CI_TABLES = tuple(
    Table(
        name=name,
        label=label,
        model=CmdbCi,
        display_field="name",
        access=READ_BY_ANYONE,
        extends="cmdb_ci",
        classes=CLASSES_OF_CLASS.get(name, (name,)),
        blank_fields=("sys_tags",),
    )
    for name, label in CI_CLASSES.items()
    if name != "cmdb_ci"
)
