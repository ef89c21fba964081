"""What plug-ins that run on the control node share, and modules do not."""
