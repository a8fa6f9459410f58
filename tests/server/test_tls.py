"""TLS of the server's own, and whose word it takes for a client's address.

The certificate and its keys are for nothing but these tests: self-signed, for `localhost`, the password `secret`.
"""

import shutil
import ssl
from pathlib import Path

import httpx
import pytest
from tests.support.server_process import running
from tests.support.tls import CERT, FOLDER, KEY, LOCKED

from usageledger.errors import SettingsError
from usageledger.server.process import run
from usageledger.settings import Settings

pytestmark = pytest.mark.processes


def test_it_speaks_https(tmp_path: Path) -> None:
    with running(tmp_path, host="localhost", tls_cert=str(CERT), tls_key=str(KEY)) as server:
        assert server.url.startswith("https://localhost:")
        with httpx.Client(base_url=server.url, verify=ssl.create_default_context(cafile=str(CERT))) as client:
            response = client.get("/v1/meters", headers=server.headers)
            assert response.status_code == 200
            assert response.headers["strict-transport-security"] == "max-age=31536000"
            refused = client.get("/v1/meters")
            assert refused.status_code == 401
        with pytest.raises(httpx.TransportError):
            httpx.get(server.url.replace("https:", "http:"))
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(CERT)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url, verify=old)
        assert server.stop()[0] == 0


@pytest.mark.parametrize(
    ("cert", "key", "says"),
    [
        (CERT, None, "tls_cert and tls_key belong together"),
        (None, KEY, "tls_cert and tls_key belong together"),
        (FOLDER / "none.pem", KEY, "tls_cert: .*none.pem cannot be read: No such file"),
        (CERT, FOLDER / "none.pem", "tls_key: .*none.pem cannot be read: No such file"),
        (CERT, LOCKED, "tls_key: .* is protected by a password"),
        (KEY, CERT, "are no certificate and its key"),
        (Path(__file__), KEY, "are no certificate and its key"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_opened(
    tmp_path: Path, cert: Path | None, key: Path | None, says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        run(Settings(data=tmp_path / "data", port=0, tls_cert=cert, tls_key=key), lambda _: None)
    assert not (tmp_path / "data").exists()


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    shutil.copy(CERT, tmp_path)
    other = "-----BEGIN EC PRIVATE KEY-----\n"
    (tmp_path / "key.pem").write_text(other)
    with pytest.raises(SettingsError, match="are no certificate and its key"):
        run(Settings(data=tmp_path / "d", tls_cert=CERT, tls_key=tmp_path / "key.pem"), lambda _: None)


@pytest.mark.parametrize(("trusted", "statuses"), [(None, [401, 429]), ("127.0.0.0/8", [401, 401])])
def test_a_proxy_is_believed_where_it_is_trusted(tmp_path: Path, trusted: str | None, statuses: list[int]) -> None:
    settings = {} if trusted is None else {"trusted_proxies": trusted}
    with running(tmp_path, wrong_keys_per_minute=1, **settings) as server:
        found = [
            httpx.get(
                f"{server.url}/v1/meters", headers={"authorization": "Bearer wrong", "x-forwarded-for": f"192.0.2.{n}"}
            ).status_code
            for n in range(2)
        ]
    assert found == statuses
