"""Events of the wire → tables of stored columns."""
