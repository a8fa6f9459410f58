"""Usage of calls that an application makes itself, read from vendors' answers as they pass.

    import usageledger
    from openai import OpenAI

    client = OpenAI()
    usageledger.capture(client, project_id="checkout")
    with usageledger.attributes(user_id="ada"):
        client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": "Hello"}])

Source: docs/python.md.
"""

from usageledger.capturing.calls import attributes
from usageledger.capturing.capture import Capture, capture
from usageledger.capturing.recorder import CaptureCounts

__all__ = ("Capture", "CaptureCounts", "attributes", "capture")
