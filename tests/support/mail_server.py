"""A real SMTP server on loopback, which keeps the mails that it takes."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from tests.support.services.processes import free_ports

USER, PASSWORD = "ledger", "p:w/d"


class Mailbox:
    """Takes mails, but for those to `answers`: recipient → what it is told."""

    def __init__(self) -> None:
        self.port = 0
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.tls: list[bool] = []
        self.answers: dict[str, str] = {}
        self.after_data = "250 OK"

    def clear(self) -> None:
        """Forgets all that came, and answers as at first."""
        for each in (self.mails, self.envelopes, self.tls, self.answers):
            each.clear()
        self.after_data = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self.tls.append(session.ssl is not None)
        return self.after_data


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
    good = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


@contextmanager
def mail_server(**options: Any) -> Iterator[Mailbox]:
    """Runs a server; `tls_context` lets it have STARTTLS, and then it wants a password."""
    mailbox = Mailbox()
    (mailbox.port,) = free_ports(1)
    if isinstance(options.get("tls_context"), ssl.SSLContext):
        options |= {"authenticator": _authenticate, "auth_required": True, "require_starttls": True}
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, **options)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
