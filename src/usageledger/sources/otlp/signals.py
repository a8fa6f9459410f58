"""The signals of OTLP."""

from enum import StrEnum


class Signal(StrEnum):
    """A signal, as its path has it."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"
