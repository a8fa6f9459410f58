"""UsageLedger: a self-hosted usage and cost ledger for LLM traffic.

`UsageAPI` and `AsyncUsageAPI` ask it, or OpenAI, what was used and what it cost; `usageledger.client` has the rest.
"""

from typing import TYPE_CHECKING, Any

from usageledger.version import __version__

if TYPE_CHECKING:
    from usageledger.client import AsyncUsageAPI, UsageAPI

__all__ = ("AsyncUsageAPI", "UsageAPI", "__version__")


def __getattr__(name: str) -> Any:
    """The clients, loaded when they are first asked for, so that the command line starts without them."""
    if name in ("AsyncUsageAPI", "UsageAPI"):
        from usageledger import client  # noqa: PLC0415 - loaded only to ask

        return getattr(client, name)
    raise AttributeError(f"module 'usageledger' has no attribute {name!r}")
