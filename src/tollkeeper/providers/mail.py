"""Mail from a provider: which message of ours it answers, and what it says.

Law: a mail is a stranger's text. Of it are taken the ids that we made ourselves and its plain text,
bounded; its sender's name and address are not kept. Source: RFC 5322, section 3.6.4.
"""

import re
from email import message_from_bytes
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import default
from typing import Final

import msgspec

from tollkeeper.kernel.ids import is_id
from tollkeeper.providers.notice import LONGEST_LINE

OURS: Final = re.compile(r"<((?:ntf|ntc)_[0-9a-z]{26})@[A-Za-z0-9.-]+>")
QUOTE: Final = re.compile(r"^(?:>|On .{1,200} wrote:$|-{2,} ?Original Message)", re.MULTILINE)
LARGEST: Final = 262_144
MOST_REFERENCES: Final = 50


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail says. `messages`, `notices`: ids of ours that it refers to, the nearest first."""

    messages: tuple[str, ...]
    notices: tuple[str, ...]
    text: str
    automatic: bool


def read_mail(raw: bytes) -> Reply | None:
    """A mail that refers to messages of ours; `None` for any other."""
    if len(raw) > LARGEST:
        return None
    try:
        mail = message_from_bytes(raw, _class=EmailMessage, policy=default)
        said = f"{mail.get('In-Reply-To', '')} {mail.get('References', '')}"
        body = mail.get_body(preferencelist=("plain",))
        text = str(body.get_content()) if body is not None else ""
        automatic = str(mail.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    except (MessageError, LookupError, ValueError, TypeError, AttributeError):
        return None
    ids = list(dict.fromkeys(OURS.findall(said)[:MOST_REFERENCES]))
    if not ids:
        return None
    return Reply(
        messages=tuple(one for one in ids if is_id(one, "ntf")),
        notices=tuple(one for one in ids if is_id(one, "ntc")),
        text=_own_words(text),
        automatic=automatic != "no",
    )


def _own_words(text: str) -> str:
    """The text above the first quotation, without what cannot be printed."""
    text = text.replace("\r\n", "\n")
    match = QUOTE.search(text)
    own = text[: match.start()] if match is not None else text
    plain = "".join(one for one in own if one.isprintable() or one in "\n\t")
    return plain.strip()[:LONGEST_LINE]
