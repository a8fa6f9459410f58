"""The version of the package, which everything that says it imports from here."""

__version__ = "0.1.0"
