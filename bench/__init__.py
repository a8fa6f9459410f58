"""Measures ingestion and queries against a real server, beside the engine's own floor: `make bench`."""
