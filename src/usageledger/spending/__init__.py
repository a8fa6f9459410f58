"""Spend under limits: what a month has cost so far, holds for what is under way, and decisions by both."""
