"""All resource types, those that others are identified by first."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.schema import ResourceType
from ansible_collections.stackwright.cloud.plugins.module_utils.cloud.types_identity import IDENTITY_TYPES

TYPES: tuple[ResourceType, ...] = (*IDENTITY_TYPES,)
BY_NAME = {kind.name: kind for kind in TYPES}
BY_PLURAL = {kind.plural: kind for kind in TYPES}
