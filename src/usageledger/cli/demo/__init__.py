"""The made-up organization of `usageledger demo`, and its usage."""
