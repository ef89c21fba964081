"""What any module does on a host: files, packages, units. Imports the common room alone."""
