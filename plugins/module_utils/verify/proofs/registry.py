"""Proofs by the component that they prove."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs import (
    alarming,
    dashboard,
    key_manager,
    names,
    objects,
    orchestration,
    shares,
    volumes,
)
from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs.bench import Proof

PROOFS: dict[str, Proof] = {
    "aodh.aodh": alarming.prove,
    "barbican.barbican": key_manager.prove,
    "cinder.cinder": volumes.prove,
    "designate.designate": names.prove,
    "heat.heat": orchestration.prove,
    "horizon.horizon": dashboard.prove,
    "manila.manila": shares.prove,
    "swift.proxy": objects.prove,
}
