"""The embedded ledger: one DuckDB file, one process."""
