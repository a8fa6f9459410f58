"""UsageLedger: a self-hosted usage and cost ledger for LLM traffic.

`UsageAPI` and `AsyncUsageAPI` ask it, or OpenAI, what was used and what it cost; `usageledger.client` has the rest.
`capture` reads the usage of a vendor's client from its answers, and `attributes` says for whom they are.
"""

from typing import TYPE_CHECKING, Any

from usageledger.version import __version__

if TYPE_CHECKING:
    from usageledger.capturing import attributes, capture
    from usageledger.client import AsyncUsageAPI, UsageAPI

__all__ = ("AsyncUsageAPI", "UsageAPI", "__version__", "attributes", "capture")


def __getattr__(name: str) -> Any:
    """The clients and the capture, loaded when they are first asked for, so that the command line starts without."""
    if name in ("AsyncUsageAPI", "UsageAPI"):
        from usageledger import client  # noqa: PLC0415 - loaded only to ask

        return getattr(client, name)
    if name in ("attributes", "capture"):
        from usageledger import capturing  # noqa: PLC0415 - loaded only to capture

        return getattr(capturing, name)
    raise AttributeError(f"module 'usageledger' has no attribute {name!r}")
