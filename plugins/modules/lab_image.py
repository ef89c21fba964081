#!/usr/bin/python
# Copyright: The Stackwright developers
# Apache License 2.0 (see LICENSE)

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_image
short_description: The image of a lab's machines
version_added: 0.1.0
description:
  - Builds a minimal Debian with systemd, Python and sshd, or a layer on top of it with packages preloaded.
  - An image is named after the hash of everything that goes into it, so it is built when one of its inputs changes and
    only then. Among the inputs is the state of the release at the mirror, which changes with a point release.
author: The Stackwright developers (@stackwright)
attributes:
  check_mode: {support: full, description: Reports whether an image would be built.}
  diff_mode: {support: full, description: Names the image.}
  idempotent: {support: full, description: Looks for the image by the hash of its inputs.}
options:
  definition:
    description: The lab, as the inventory plug-in puts it into C(lab_definition).
    type: dict
    required: true
  suite:
    description: Debian's release.
    type: str
    default: trixie
  packages:
    description: Packages of the base image, or, with O(base), those to preload.
    type: list
    elements: str
    required: true
  base:
    description: Name of the base image to preload packages on. Without it the base image itself is built.
    type: str
  recommends:
    description: Preload recommended packages as well.
    type: bool
    default: false
  purpose:
    description: What a preloaded image is for. An older unused one for the same purpose is removed.
    type: str
    default: base
  apt_sources:
    description: Package sources with C(uri), C(suite), C(components), the release's own first; by default this host's.
    type: list
    elements: dict
    default: []
  user:
    description: The account that may log in and use sudo without a password.
    type: str
    default: operator
"""

EXAMPLES = r"""
- name: The base image exists
  stackwright.cloud.lab_image:
    definition: "{{ lab_definition }}"
    packages: [systemd-sysv, openssh-server, python3, sudo]
  register: lab_base

- name: An image with the packages of a controller exists
  stackwright.cloud.lab_image:
    definition: "{{ lab_definition }}"
    base: "{{ lab_base.image }}"
    packages: [mariadb-server, keystone]
    purpose: lab-controller
"""

RETURN = r"""
image:
  description: Name of the image.
  returned: success
  type: str
removed:
  description: Older images for the same purpose that were removed.
  returned: success
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import apt, environment
from ansible_collections.stackwright.cloud.plugins.module_utils.lab import image as lab_image
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.definition import Lab
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.errors import LabError
from ansible_collections.stackwright.cloud.plugins.module_utils.lab.podman import Podman, ignore_hangup, run


def base_image(params: dict[str, Any], podman: Podman) -> lab_image.Base:
    """Return the wanted base image from the module's parameters and this host's settings."""
    given = params["apt_sources"]
    sources = apt.given_sources(given) if given else apt.host_sources(params["suite"])
    return lab_image.Base(
        suite=params["suite"],
        packages=tuple(params["packages"]),
        sources=tuple(sources),
        user=params["user"],
        certificates=lab_image.host_certificates(),
        distribution=lab_image.distribution_state(sources[0], podman),
    )


def ensure(module: AnsibleModule) -> dict[str, Any]:
    """Build the wanted image if it is missing and return the module's result."""
    params = module.params
    lab = Lab.from_document(params["definition"])
    podman = environment.podman_of(lab.state_directory)
    logs = Path(lab.state_directory) / "log"
    options = apt.transport_options(run(["apt-config", "dump"], "Reading this host's apt configuration"))
    if params["base"]:
        name = lab_image.preloaded_name(params["base"], params["packages"], params["recommends"])
        purpose = params["purpose"]
    else:
        base = base_image(params, podman)
        name = base.name()
        purpose = f"base-{base.suite}"
    result = {"image": name, "removed": [], "changed": not podman.image_exists(name)}
    result["diff"] = {"before": "", "after": f"{name}\n" if result["changed"] else ""}
    if module.check_mode or not result["changed"]:
        return result
    if params["base"]:
        log = logs / f"image-{purpose}.log"
        lab_image.build_preloaded(
            name, params["base"], params["packages"], params["recommends"], purpose, options, podman, log
        )
    else:
        lab_image.build_base(base, options, podman, logs / f"image-{base.suite}.log")
    result["removed"] = lab_image.remove_images(lab_image.superseded(purpose, name, podman), podman)
    return result


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "definition": {"type": "dict", "required": True},
            "suite": {"type": "str", "default": "trixie"},
            "packages": {"type": "list", "elements": "str", "required": True},
            "base": {"type": "str"},
            "recommends": {"type": "bool", "default": False},
            "purpose": {"type": "str", "default": "base"},
            "apt_sources": {"type": "list", "elements": "dict", "default": []},
            "user": {"type": "str", "default": "operator"},
        },
        supports_check_mode=True,
    )
    ignore_hangup()
    try:
        result = ensure(module)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
