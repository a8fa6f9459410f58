"""Statements that every engine answers alike."""
