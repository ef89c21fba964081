"""Property tests see nothing of whoever runs them."""

from __future__ import annotations

from ansible_collections.stackwright.cloud.tests import environment

environment.leave_the_user_out()
