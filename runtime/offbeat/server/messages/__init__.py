"""Between the protocols' messages and arrays."""
