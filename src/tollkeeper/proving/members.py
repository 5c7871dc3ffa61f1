"""The members of a ground: replicas of the service, each a host with ways out of its own.

Law: what one member meets on the network, another one need not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from tollkeeper.proving.network import Relay, pull
from tollkeeper.proving.serve import HOST_NAME, LEVERS
from tollkeeper.testing.kill import Program, free_port


@dataclass(kw_only=True)
class Member:
    """One replica: its name as a host, its ports, and the relays on its ways out."""

    name: str
    port: int
    relay: Relay
    anchor: Relay
    levers_port: int = field(default_factory=free_port)

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """What the program of this member is given."""
        return {LEVERS: str(self.levers_port), HOST_NAME: self.name, **more}

    def program(self, config: Path, log: Path, more: Mapping[str, str]) -> Program:
        """The program that serves with the settings of a file."""
        arguments = ["-m", "tollkeeper.proving.serve", "--config", str(config)]
        return Program(arguments, log, self.environment(more))

    async def lever(self, pulled: Mapping[str, Any]) -> int:
        """Pulls a lever of the running service; gives how often its levers struck."""
        return await pull(self.levers_port, pulled)


def relays_of(members: Iterable[Member], peer: str, replica: int | None) -> list[Relay]:
    """The relays to a peer, of one replica or of all; counted from 0."""
    chosen = [one for number, one in enumerate(members) if replica in {None, number}]
    towards = {"provider": [one.relay for one in chosen], "anchor": [one.anchor for one in chosen]}
    return towards.get(peer, [relay for both in towards.values() for relay in both])


def store_relay(dsn: str) -> Relay:
    """A relay before the PostgreSQL server that a DSN names."""
    parts = urlsplit(dsn)
    folder = parse_qs(parts.query).get("host", [""])[0]
    if folder.startswith("/"):
        return Relay(f"{folder}/.s.PGSQL.{parts.port or 5432}")
    return Relay((parts.hostname or "127.0.0.1", parts.port or 5432))


def through(dsn: str, relay: Relay) -> str:
    """The DSN of the same database through a relay."""
    parts = urlsplit(dsn)
    user = f"{parts.username}:{parts.password or ''}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{relay.port}", query=""))
