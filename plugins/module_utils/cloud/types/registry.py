"""All resource types, those that others are identified by first."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import ResourceType
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.compute import COMPUTE_TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.dns import DNS_TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.identity import IDENTITY_TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.image import IMAGE_TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.network import NETWORK_TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.object_store import OBJECT_STORE_TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.orchestration import ORCHESTRATION_TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.quota import QUOTA
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.router import ROUTER_TYPES
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.security_group import (
    RBAC_POLICY,
    RULE_TYPES,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.server import SERVER
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types.volume import VOLUME_TYPES

TYPES: tuple[ResourceType, ...] = (
    *IDENTITY_TYPES,
    QUOTA,
    *RULE_TYPES,
    *NETWORK_TYPES,
    *ROUTER_TYPES,
    RBAC_POLICY,
    *COMPUTE_TYPES,
    *IMAGE_TYPES,
    *VOLUME_TYPES,
    SERVER,
    *OBJECT_STORE_TYPES,
    *DNS_TYPES,
    *ORCHESTRATION_TYPES,
)
BY_NAME = {kind.name: kind for kind in TYPES}
BY_PLURAL = {kind.plural: kind for kind in TYPES}
