"""Tables and their dictionary; importing this package declares every one of them."""

from changegate.models.auth_scope import SysApiAccessScope, SysAuthScope
from changegate.models.change_request import ChangeRequest
from changegate.models.cmdb_ci import CmdbCi
from changegate.models.jwks_cache import JwksCache
from changegate.models.oauth_entity import (
    OAuthCredential,
    OAuthEntity,
    OAuthEntityScope,
    OAuthJti,
    OAuthTokenEvent,
)
from changegate.models.sys_user import SysUser, SysUserGroup, SysUserGroupMember, SysUserHasRole, SysUserRole
from changegate.models.task import SysNumberCounter, Task

__all__ = [
    "ChangeRequest",
    "CmdbCi",
    "JwksCache",
    "OAuthCredential",
    "OAuthEntity",
    "OAuthEntityScope",
    "OAuthJti",
    "OAuthTokenEvent",
    "SysApiAccessScope",
    "SysAuthScope",
    "SysNumberCounter",
    "SysUser",
    "SysUserGroup",
    "SysUserGroupMember",
    "SysUserHasRole",
    "SysUserRole",
    "Task",
]
