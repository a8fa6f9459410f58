"""Which requests use a model, whose they are, and what they say of their answers."""

import pytest

from usageledger.capturing.calls import HOSTS, call_of, uses_model, vendor_of
from usageledger.sources.vendors import VENDORS

USED = """
/v1/chat/completions /v1/completions /v1/responses /v1/responses/compact /v1/embeddings /v1/images/generations
/v1/images/edits /v1/audio/transcriptions /v1/audio/speech /openai/deployments/d/chat/completions /v1/messages
/anthropic/v1/messages /v1beta/models/gemini-2.5-flash:generateContent /v1beta/models/g:streamGenerateContent
/v1/projects/p/locations/l/publishers/google/models/g:predict /v1/projects/p/publishers/anthropic/models/c:rawPredict
/model/us.anthropic.c-v1%3A0/converse-stream /model/m/invoke /v1/fim/completions /v1/agents/completions /v2/chat
/v2/rerank /api/chat /api/generate /api/embed /base/v1/chat/completions/
"""
UNUSED = """
/v1/models /v1/files /v1/chat/completions/chatcmpl-1 /v1/responses/resp_1/cancel /v1/messages/count_tokens
/v1/messages/batches /v1/threads/t/messages /v1beta/models/g:countTokens /v1/moderations /v1/batches /api/tags
/ /completions-x
"""


def test_paths() -> None:
    assert [path for path in USED.split() if not uses_model("POST", path)] == []
    assert [path for path in UNUSED.split() if uses_model("POST", path)] == []
    assert not any(uses_model("GET", path) for path in USED.split())


@pytest.mark.parametrize(
    ("host", "vendor"),
    [
        ("api.openai.com", "openai"),
        ("eu.api.openai.com", "openai"),
        ("mine.openai.azure.com", "azure"),
        ("us-central1-aiplatform.googleapis.com", "vertex"),
        ("bedrock-runtime.eu-west-1.amazonaws.com", "bedrock"),
        ("API.X.AI", "xai"),
        ("localhost:11434", "ollama"),
        ("localhost", None),
        ("api.openai.com.example.org", None),
        ("api.openai.com:8443", None),
    ],
)
def test_hosts(host: str, vendor: str | None) -> None:
    assert vendor_of(host) == vendor


def test_every_host_is_of_a_vendor_that_is_read() -> None:
    assert set(HOSTS.values()) <= set(VENDORS)


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/v1/images/generations", b'{"model": "gpt-image-1", "prompt": "x"}', "gpt-image-1"),
        ("/v1beta/models/gemini-2.5-flash:generateContent", b'{"contents": []}', "gemini-2.5-flash"),
        ("/model/us.anthropic.c-v1%3A0/converse", b"{}", "us.anthropic.c-v1:0"),
        (
            "/v1/audio/transcriptions",
            b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n',
            "whisper-1",
        ),
        ("/v1/chat/completions", b'{"model": 3}', None),
        ("/v1/chat/completions", b"", None),
        ("/v1/chat/completions", b'{"model": "cut off', None),
    ],
)
def test_the_model(path: str, body: bytes, model: str | None) -> None:
    assert call_of("openai", path, body, {}).model == model
