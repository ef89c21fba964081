"""The object store: rings as data, and what its nodes say of themselves."""
