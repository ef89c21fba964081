"""What proves a running cloud: health checks, agent freshness, the test guest and the boot test."""
