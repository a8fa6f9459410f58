"""Proofs that a ledger keeps its promises, from its events."""
