"""Proofs by the component that they prove."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.proofs import (
    alarming,
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
    "manila.manila": shares.prove,
    "swift.proxy": objects.prove,
}
