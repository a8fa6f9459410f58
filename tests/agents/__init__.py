"""Coding agents from npm, run against a fake vendor with their telemetry pointed at a real server."""
