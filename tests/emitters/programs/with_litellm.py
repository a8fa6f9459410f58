"""LiteLLM's callback `generic_api`, as docs/litellm.md sets it."""

import asyncio
import os

import litellm
from _calls import litellm_calls

FLUSHED_S = 7  # it sends what it has each 5 seconds


async def main() -> None:
    litellm.callback_settings = {
        "usageledger": {
            "callback_type": "generic_api",
            "endpoint": f"{os.environ['LEDGER']}/v1/sources/litellm",
            "headers": {"Authorization": f"Bearer {os.environ['KEY']}"},
            "max_retries": 5,
        }
    }
    litellm.turn_off_message_logging = True
    litellm.logging_callback_manager.add_litellm_callback("usageledger")
    await litellm_calls()
    await asyncio.sleep(FLUSHED_S)


asyncio.run(main())
