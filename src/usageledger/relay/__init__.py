"""The relay: a pass-through before a vendor's API, which records usage on the way. Source: docs/relay.md."""
