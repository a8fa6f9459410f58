"""E-mail by SMTP; each attempt tells what came of it."""

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import SplitResult, unquote, urlsplit

from usageledger.errors import SettingsError
from usageledger.settings import Settings

SECONDS_MAX = 20.0  # of an attempt
STATUS_CHARACTERS_MAX = 1_000
LINE_MAX = 998
SMTP_FINAL = 500  # this and above


@dataclass(frozen=True, slots=True)
class Attempt:
    """The end of an attempt.

    Attributes:
        delivered: the receiver has it.
        status: what it answered, or why nothing was.
        final: another attempt would fare no better.
        gone: the receiver wants nothing more, ever.
        retry_after: seconds that it asks for, or 0.
    """

    delivered: bool
    status: str
    final: bool = False
    gone: bool = False
    retry_after: float = 0


@dataclass(frozen=True, slots=True)
class Mail:
    """A message to one recipient; `message_id` is the same at each attempt."""

    message_id: str
    recipient: str
    subject: str
    text: str


class Smtp:
    """A server that takes mails.

    Args:
        url: `smtp://[user:password@]host[:port]`, by STARTTLS where the server has it, or `smtps://…`.
        sender: the address that mails come from.

    Raises:
        SettingsError: the URL is another, or there is no sender.
    """

    def __init__(self, url: str, sender: str | None) -> None:
        self._url = _split(url)
        if not sender or "@" not in sender or not sender.isprintable():
            raise SettingsError("smtp_from: expected the e-mail address that mails come from")
        self._sender = sender
        self._host = self._url.hostname or ""

    @classmethod
    def of(cls, settings: Settings) -> "Smtp | None":
        """Makes the one that is set; None where none is. Raises SettingsError."""
        return cls(settings.smtp_url, settings.smtp_from) if settings.smtp_url else None

    def send(self, mail: Mail) -> Attempt:
        """Sends a mail."""
        # A subject that begins with a bracket would be folded before it; what is not ASCII has to be.
        message = EmailMessage(policy.default.clone(max_line_length=LINE_MAX if mail.subject.isascii() else 78))
        try:
            message["Subject"], message["From"], message["To"] = mail.subject, self._sender, mail.recipient
            message["Date"] = formatdate()
            message["Message-ID"] = f"<{mail.message_id}@{self._sender.rpartition('@')[2].rstrip('>')}>"
            message["Auto-Submitted"] = "auto-generated"
            message.set_content(mail.text)
            with self._connected() as connection:
                connection.send_message(message, self._sender, [mail.recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = next(iter(error.recipients.values()))
            return _refused(code, answer)
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code, error.smtp_error)
        except smtplib.SMTPNotSupportedError as error:
            return Attempt(False, status_of(f"SMTP: {error}"), final=True)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return Attempt(
                False, status_of(f"SMTP: {error}"), final=not isinstance(error, OSError | smtplib.SMTPException)
            )
        return Attempt(True, "SMTP: accepted")

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        port, is_secret = self._url.port, self._url.scheme == "smtps"
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(self._host, port or 465, timeout=SECONDS_MAX, context=context)
            if is_secret
            else smtplib.SMTP(self._host, port or 25, timeout=SECONDS_MAX)
        )
        try:
            server.ehlo_or_helo_if_needed()
            if not is_secret and server.has_extn("starttls"):
                server.starttls(context=context)
                is_secret = True
            if self._url.username:
                self._log_in(server, is_secret=is_secret)
        except BaseException:
            server.close()
            raise
        return server

    def _log_in(self, server: smtplib.SMTP, *, is_secret: bool) -> None:
        if not is_secret:
            raise smtplib.SMTPNotSupportedError("without STARTTLS the password is not sent")
        server.login(unquote(self._url.username or ""), unquote(self._url.password or ""))


def _refused(code: int, answer: bytes | str) -> Attempt:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return Attempt(False, status_of(f"SMTP {code}: {text}"), final=code >= SMTP_FINAL)


def status_of(text: str) -> str:
    """Shows what a receiver answered, on one line and cut."""
    return "".join(each if each.isprintable() else " " for each in text[:STATUS_CHARACTERS_MAX])


def _split(url: str) -> SplitResult:
    with suppress(ValueError):  # of a port that is none
        parts = urlsplit(url)
        if parts.scheme in ("smtp", "smtps") and parts.hostname and parts.port != 0:
            return parts
    raise SettingsError("smtp_url: expected smtp://host:port or smtps://host:port")
