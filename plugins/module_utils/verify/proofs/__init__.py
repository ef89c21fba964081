"""What each optional service must be able to do, proved by its own protocol: one file for each service."""
