"""UsageLedger: a self-hosted usage and cost ledger for LLM traffic."""

__version__ = "0.1.0"
