"""OpenLIT's instrumentations of OpenAI and Anthropic."""

import openlit
from _calls import anthropic_calls, openai_calls

openlit.init(application_name="prog", disable_batch=True)
openai_calls()
anthropic_calls()
