"""Reports about findings documents: one model of the fleet, one module per format, one writer."""
