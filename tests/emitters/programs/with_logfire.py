"""Logfire's instrumentations of OpenAI and Anthropic, beside Anthropic's own spans."""

import logfire
from _calls import anthropic_calls, openai_calls

logfire.configure(send_to_logfire=False, console=False)
logfire.instrument_openai()
logfire.instrument_anthropic()
openai_calls()
anthropic_calls()
logfire.shutdown()
