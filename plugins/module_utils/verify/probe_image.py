"""The test guest without a network, for a compute node that finds out what its hypervisor can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ansible_collections.stackwright.cloud.plugins.module_utils.verify.guest_image import BuildError, ensure_image

SAYS = "stackwright-probe: the guest's disk is read"

# Kernel, modules, processes, timer, interrupts of the disk: what every guest needs.
INIT = f"""\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/null >/dev/ttyS0 2>&1
while read -r module; do insmod "/modules/$module"; done </modules/order
tries=0
until [ -b /dev/vda ] || [ $tries -ge 100 ]; do usleep 50000; tries=$((tries + 1)); done
[ "$(dd if=/dev/vda bs=1M count=8 2>/dev/null | wc -c)" = 8388608 ] && echo "{SAYS}"
exec poweroff -f
"""
TEXTS = {"init": INIT, "udhcpc": "#!/bin/sh\n"}


def probe_image(directory: Path, refresh: Callable[[], None]) -> tuple[Path, str]:
    """Build the image in ``directory`` from the host's own package sources; return it and what its console says.

    Package lists that are missing or too old are fetched by ``refresh``, once.

    :raises BuildError: it cannot be built.
    """
    try:
        return ensure_image(directory, TEXTS)[0], SAYS
    except BuildError:
        refresh()
    return ensure_image(directory, TEXTS)[0], SAYS
