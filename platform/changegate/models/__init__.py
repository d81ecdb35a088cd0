"""The models of all tables; importing this package declares every table."""

from changegate.models.auth_scope import SysApiAccessScope, SysAuthScope
from changegate.models.change_request import ChangeRequest
from changegate.models.change_task import ChangeTask
from changegate.models.chg_history import ChgHistory, ChgHistoryRoot
from changegate.models.chg_model import ChgModel
from changegate.models.chg_policy_approval import (
    ChgApprovalContent,
    ChgApprovalDecision,
    ChgApprovalDef,
    ChgPolicyApproval,
)
from changegate.models.chg_process_version import ChgProcessVersion
from changegate.models.cmdb_ci import CmdbCi, CmdbRelCi
from changegate.models.cmn_schedule import (
    ChgFreezeOverride,
    CmnSchedule,
    CmnScheduleBlackout,
    CmnScheduleMaintenance,
    CmnScheduleRevision,
    CmnScheduleSpan,
)
from changegate.models.conflict import ChgMgtWorker, Conflict
from changegate.models.figures import DashboardFigures, OAuthExchangeFigure, OAuthExchangeWatermark
from changegate.models.idempotency_key import IdempotencyKey
from changegate.models.integration_draft import IntegrationDraft
from changegate.models.job import ClusterValue, Job
from changegate.models.jwks_cache import JwksCache
from changegate.models.jwt_verifier_map import JwtVerifierMap
from changegate.models.messages import Notification, SysEmail
from changegate.models.oauth_client_assertion import OAuthClientAssertion
from changegate.models.oauth_entity import OAuthEntity, OAuthEntityScope
from changegate.models.oauth_entity_key import OAuthEntityKey, OAuthKeyAlert
from changegate.models.oauth_exchange import OAuthExchange, OAuthExchangeKind, OAuthThinnedExchange
from changegate.models.oauth_refresh_token import OAuthRefreshToken
from changegate.models.oauth_token_key import OAuthTokenKey
from changegate.models.planning import (
    RiskCondition,
    StdChangeProducerVersion,
    StdChangeProposal,
    StdChangeRecordProducer,
)
from changegate.models.sign_on import (
    AccountLink,
    OidcClaimMapping,
    OidcGrant,
    OidcProviderConfiguration,
    SysUserSession,
)
from changegate.models.state_model import SttrmState, SttrmStateTransition, SttrmTransitionCondition
from changegate.models.sys_attachment import SysAttachment, SysAttachmentDoc
from changegate.models.sys_audit import SysAudit
from changegate.models.sys_certificate import SysCertificate
from changegate.models.sys_choice import SysChoice
from changegate.models.sys_dictionary import SysDbObject, SysDictionary
from changegate.models.sys_journal_field import SysJournalField
from changegate.models.sys_user import (
    SysGroupHasRole,
    SysUser,
    SysUserGroup,
    SysUserGroupMember,
    SysUserHasRole,
    SysUserIdentity,
    SysUserRole,
)
from changegate.models.sys_user_preference import CalendarFeed, SysFilter, SysUserDelegate, SysUserPreference
from changegate.models.sysapproval_approver import SysapprovalApprover
from changegate.models.task import SysNumberCounter, Task
from changegate.models.task_ci import TaskCi, TaskCmdbCiService
from changegate.models.tiny_url import TinyUrl

__all__ = [
    "AccountLink",
    "CalendarFeed",
    "ChangeRequest",
    "ChangeTask",
    "ChgApprovalContent",
    "ChgApprovalDecision",
    "ChgApprovalDef",
    "ChgFreezeOverride",
    "ChgHistory",
    "ChgHistoryRoot",
    "ChgMgtWorker",
    "ChgModel",
    "ChgPolicyApproval",
    "ChgProcessVersion",
    "ClusterValue",
    "CmdbCi",
    "CmdbRelCi",
    "CmnSchedule",
    "CmnScheduleBlackout",
    "CmnScheduleMaintenance",
    "CmnScheduleRevision",
    "CmnScheduleSpan",
    "Conflict",
    "DashboardFigures",
    "IdempotencyKey",
    "IntegrationDraft",
    "Job",
    "JwksCache",
    "JwtVerifierMap",
    "Notification",
    "OAuthClientAssertion",
    "OAuthEntity",
    "OAuthEntityKey",
    "OAuthEntityScope",
    "OAuthExchange",
    "OAuthExchangeFigure",
    "OAuthExchangeKind",
    "OAuthExchangeWatermark",
    "OAuthKeyAlert",
    "OAuthRefreshToken",
    "OAuthThinnedExchange",
    "OAuthTokenKey",
    "OidcClaimMapping",
    "OidcGrant",
    "OidcProviderConfiguration",
    "RiskCondition",
    "StdChangeProducerVersion",
    "StdChangeProposal",
    "StdChangeRecordProducer",
    "SttrmState",
    "SttrmStateTransition",
    "SttrmTransitionCondition",
    "SysApiAccessScope",
    "SysAttachment",
    "SysAttachmentDoc",
    "SysAudit",
    "SysAuthScope",
    "SysCertificate",
    "SysChoice",
    "SysDbObject",
    "SysDictionary",
    "SysEmail",
    "SysFilter",
    "SysGroupHasRole",
    "SysJournalField",
    "SysNumberCounter",
    "SysUser",
    "SysUserDelegate",
    "SysUserGroup",
    "SysUserGroupMember",
    "SysUserHasRole",
    "SysUserIdentity",
    "SysUserPreference",
    "SysUserRole",
    "SysUserSession",
    "SysapprovalApprover",
    "Task",
    "TaskCi",
    "TaskCmdbCiService",
    "TinyUrl",
]
