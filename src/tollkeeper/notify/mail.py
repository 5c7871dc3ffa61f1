"""Mail by SMTP, from the standard library: Apprise gives a new Message-ID to every try, so that a
mail that is repeated after a crash would count as another one, and a thread would fall apart.

Sources: RFC 5322 (Message-ID, References), RFC 5321 (replies).
"""

import asyncio
import smtplib
import ssl
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from tollkeeper.flows.ports import Wire
from tollkeeper.incidents.paging import Answer, Attachment, Message
from tollkeeper.incidents.plan import Receiver

DOMAIN: Final = "tollkeeper.invalid"
"""The right part of a Message-ID; no host has this name (RFC 6761)."""

STEP_SECONDS: Final = 8.0


def mail_of(receiver: Receiver, message: Message) -> EmailMessage:
    """A message as a mail; the same one, byte for byte, in every try."""
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = " ".join(message.subject.split())
    mail["From"] = _address(receiver.sender)
    mail["To"] = _address(receiver.to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.at_ms / 1000, UTC))
    mail["Message-ID"] = f"<{message.id}@{DOMAIN}>"
    mail["References"] = f"<{message.thread}@{DOMAIN}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Tollkeeper-Message"] = message.id
    if message.kind == "page":
        mail["X-Priority"] = "1"
        mail["Importance"] = "high"
    mail.set_content(message.text)
    if message.attachment is not None:
        _attach(mail, message.attachment, message.id)
    return mail


def _attach(mail: EmailMessage, attachment: Attachment, identity: str) -> None:
    """Adds a file; the boundary comes from the identity, so that each try is the same mail."""
    main, _, sub = attachment.media_type.partition("/")
    mail.add_attachment(attachment.body, maintype=main, subtype=sub, filename=attachment.name)
    mail.set_boundary(f"=={identity}==")


def _address(text: str) -> Address:
    return Address(addr_spec=text)


async def send(_: Wire, receiver: Receiver, message: Message) -> Answer:
    """Sends one mail; what was accepted by the server counts as sent."""
    return await asyncio.to_thread(_deliver, receiver, mail_of(receiver, message))


def _deliver(receiver: Receiver, mail: EmailMessage) -> Answer:
    parts = urlsplit(receiver.url)
    try:
        with _connected(parts.scheme, parts.hostname or "localhost", parts.port) as server:
            if parts.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
            if parts.username:
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        return Answer(ok=False, said=f"{code} {_text(said)}", again=code < 500)
    except smtplib.SMTPResponseException as error:
        again = error.smtp_code < 500 or error.smtp_code == 535  # a wrong password may be mended
        return Answer(ok=False, said=f"{error.smtp_code} {_text(error.smtp_error)}", again=again)
    except (OSError, smtplib.SMTPException) as error:
        return Answer(ok=False, said=f"{type(error).__name__}: no mail server answered")
    return Answer(ok=True, said="accepted by the mail server")


def _connected(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    if scheme == "smtps":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, port or 465, timeout=STEP_SECONDS, context=context)
    return smtplib.SMTP(host, port or 587, timeout=STEP_SECONDS)


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:200]
