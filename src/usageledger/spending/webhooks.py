"""Webhooks: a message by HTTP to an endpoint, signed as Standard Webhooks say or in the form of Slack."""

import base64
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

import msgspec

from usageledger.pricing.money import usd_text
from usageledger.registry import Firing
from usageledger.retry_after import retry_after
from usageledger.spending.channels import SECONDS_MAX, Attempt, status_of
from usageledger.spending.messages import Facts
from usageledger.spending.months import month_of

EVENT, TEST_EVENT = "spend_alert.triggered", "spend_alert.test"
ANSWER_BYTES_MAX = 1_000  # that are read
RETRY_AFTER_MAX = 86_400.0
GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503
SUCCESS = range(200, 300)
METADATA = [
    ipaddress.ip_network(each)
    for each in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "100.100.100.200/32", "192.0.0.192/32", "0.0.0.0/8")
]
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def event(firing: Firing, facts: Facts) -> bytes:
    """Makes the body that Standard Webhooks have."""
    month = month_of(firing.period_start)
    data = {
        "id": firing.id,
        "alert_id": firing.alert_id,
        "project_id": firing.project_id,
        "project_name": facts.project_name,
        "start_time": month.start,
        "end_time": month.end,
        "threshold_amount": firing.threshold_cents,
        "spend": {"value": usd_text(firing.spend), "currency": "usd"},
        "limit_amount": facts.limit_cents,
        "unpriced_requests": facts.unpriced_requests,
        "fired_at": firing.fired_at,
        "cause": firing.cause,
    }
    at = f"{datetime.fromtimestamp(firing.fired_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    return msgspec.json.encode({"type": TEST_EVENT if firing.is_test else EVENT, "timestamp": at, "data": data})


def slack_event(text: str) -> bytes:
    """Makes the body that Slack takes; what is in `text` pings nobody."""
    for character, escape in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, escape)
    return msgspec.json.encode({"text": text})


def is_forbidden(address: Address) -> bool:
    """Tells if nothing is ever sent to an address: those of a link, of metadata of clouds, and of many hosts."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner:
            return is_forbidden(inner)
    return address.is_multicast or address.is_unspecified or any(address in network for network in METADATA)


def signed(secrets: Sequence[str], message_id: str, body: bytes, now: int) -> dict[str, str]:
    """Makes the headers of Standard Webhooks, with a signature by each secret (`whsec_…`)."""
    content = f"{message_id}.{now}.".encode() + body
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    made = [base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(f"v1,{each}" for each in made),
    }


def post(url: str, headers: Mapping[str, str], body: bytes, seconds_max: float = SECONDS_MAX) -> Attempt:
    """Posts JSON; the host's address is checked when it is connected to, and no redirect is followed."""
    parts = urlsplit(url)
    connection = _Connection(parts, seconds_max)
    ended = threading.Timer(
        seconds_max, connection.cut
    )  # whatever the receiver sends meanwhile, one byte after another
    ended.daemon = True
    ended.start()
    try:
        sent = {"content-type": "application/json", "user-agent": "UsageLedger", **headers}
        connection.request("POST", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", body, sent)
        response = connection.getresponse()
        answer = response.read(ANSWER_BYTES_MAX).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return Attempt(False, status_of(f"{type(error).__name__}: {error}"))
    finally:
        ended.cancel()
        connection.close()
    code = response.status
    asked = response.getheader("retry-after", "") if code in (TOO_MANY, UNAVAILABLE) else ""
    wait = min(retry_after(asked) or 0, RETRY_AFTER_MAX)
    return Attempt(code in SUCCESS, status_of(f"HTTP {code}: {answer}"), code == GONE, code == GONE, wait)


class _Connection(http.client.HTTPConnection):
    """A connection to an address that is allowed."""

    def __init__(self, url: SplitResult, seconds_max: float) -> None:
        self._tls = url.scheme == "https"
        self._cut = False
        super().__init__(url.hostname or "", url.port or (443 if self._tls else 80), timeout=seconds_max)

    def connect(self) -> None:
        """Connects to the first address that answers."""
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
        if any(is_forbidden(ipaddress.ip_address(address)) for address in addresses):
            raise OSError(f"{self.host} has an address to which nothing is sent")
        failures: list[OSError] = []
        for address in addresses:
            try:
                self.sock = socket.create_connection((address, self.port), self.timeout)
                break
            except OSError as error:
                failures.append(error)
        else:
            raise failures[0]
        if self._tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
        if self._cut:
            raise TimeoutError("timed out")

    def cut(self) -> None:
        """Ends what is under way, from another thread."""
        self._cut = True
        if self.sock:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is not connected any more
                return
