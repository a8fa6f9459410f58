"""The ways in: what gateways, agents, instrumentations and vendors send, read into events. Pure."""
