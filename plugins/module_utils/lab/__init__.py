"""The lab: systemd containers that stand in for machines."""
