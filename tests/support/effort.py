"""How many examples tests make: `USAGELEDGER_TEST_EFFORT=40` multiplies them (`make fuzz`)."""

import os

EFFORT = int(os.environ.get("USAGELEDGER_TEST_EFFORT", "1"))
