"""An inbox for demos and tests: a mail server and a chat on loopback that keep what arrives.

Each message is one line of a file: when, how, to whom, its subject, and its identity, by which a
repeated one is known. It forwards nothing.
"""

import argparse
import asyncio
import time
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST: Final = "127.0.0.1"
LARGEST: Final = 1_000_000
SHOWN: Final = 160


class Inbox:
    """What has arrived. `received`: way, receiver, subject, identity, and the whole text."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.received: list[tuple[str, str, str, str, str]] = []

    def keep(self, way: str, to: str, subject: str, identity: str, text: str) -> None:
        """Keeps one message."""
        self.received.append((way, to, subject, identity, text))
        if self._file is None:
            return
        at = time.strftime("%H:%M:%S", time.gmtime())
        line = " ".join(f"{at} {way} to {to}: {subject}".split())[:SHOWN]
        with self._file.open("a", encoding="utf-8") as out:
            out.write(line + "\n")

    async def handle_DATA(  # noqa: N802 - the name that aiosmtpd calls
        self, _: SMTP, __: Session, envelope: Envelope
    ) -> str:
        """Takes a mail."""
        mail = message_from_bytes(envelope.original_content or b"", policy=default)
        body = mail.get_body(preferencelist=("plain",))
        text = body.get_content() if body is not None else ""
        to = ", ".join(envelope.rcpt_tos)
        self.keep("mail", to, str(mail["Subject"]), str(mail["Message-ID"]), text)
        return "250 taken"

    async def take_chat(self, request: web.Request) -> web.Response:
        """Takes a message as Slack's incoming webhooks do."""
        body: Any = msgspec.json.decode(await request.read())
        text = str(body.get("text", "")) if isinstance(body, dict) else ""
        first = text.partition("\n")[0].strip("*")
        identity = request.headers.get("idempotency-key", "")
        self.keep("chat", request.path.strip("/"), first, identity, text)
        return web.Response(text="ok")


async def serve(inbox: Inbox, mail_port: int, chat_port: int) -> tuple[Any, web.AppRunner]:
    """Listens on both ports of loopback; gives what to stop."""
    loop = asyncio.get_running_loop()
    mail = UnthreadedController(inbox, HOST, mail_port, loop=loop, data_size_limit=LARGEST)
    mail.server = await mail._create_server()  # noqa: SLF001 - begin() would run the loop itself
    app = web.Application(client_max_size=LARGEST)
    app.router.add_post("/{channel}", inbox.take_chat)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, chat_port).start()
    return mail, runner


async def run(mail_port: int, chat_port: int, file: Path) -> None:
    """Takes messages until the process is stopped."""
    file.touch(mode=0o600)
    await serve(Inbox(file), mail_port, chat_port)
    await asyncio.Event().wait()


def main() -> None:
    """The program: `python -m tollkeeper.proving.inbox MAIL_PORT CHAT_PORT FILE`."""
    parser = argparse.ArgumentParser(description="An inbox on loopback that forwards nothing.")
    parser.add_argument("mail_port", type=int)
    parser.add_argument("chat_port", type=int)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    asyncio.run(run(given.mail_port, given.chat_port, given.file))


if __name__ == "__main__":
    main()
