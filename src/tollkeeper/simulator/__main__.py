"""The simulator's command line: serve, put faults in force, read the ledger, send shoppers."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import uvloop

from tollkeeper.simulator.core.faults import EFFECTS, FaultRule
from tollkeeper.simulator.program import SystemChance, serve
from tollkeeper.simulator.shoppers import Plan, shop
from tollkeeper.simulator.stripe.config import AccountConfig, SimulatorConfig
from tollkeeper.simulator.stripe.issuer import IssuerModel
from tollkeeper.simulator.stripe.versions import NEWEST

FINE, NO, MISUSE = 0, 1, 2

_EXAMPLES = """examples:
  python -m tollkeeper.simulator serve --port 12111 --ledger ledger.jsonl
  python -m tollkeeper.simulator fault add drop --url URL --when after --count 1
  python -m tollkeeper.simulator fault add rename_field --url URL \\
      --api-version 2022-08-01 --object payment_intent --path charges --to payments
  python -m tollkeeper.simulator fault list --url URL
  python -m tollkeeper.simulator fault clear --url URL
  python -m tollkeeper.simulator ledger --url URL
  python -m tollkeeper.simulator shoppers --api URL --key KEY --rate 1 --count 20
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 fine, 1 the answer is no, 2 misuse."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (aiohttp.ClientError, OSError) as error:
        print(f"no answer: {error}", file=sys.stderr)
        return NO
    except (ValueError, msgspec.MsgspecError) as error:
        print(f"misuse: {error}", file=sys.stderr)
        return MISUSE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tollkeeper.simulator",
        description="A payment provider that can be broken.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_fault(commands)
    _add_ledger(commands)
    _add_shoppers(commands)
    return parser


def _command(commands: Any, name: str, run: Any, summary: str, example: str) -> Any:
    command = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=f"example:\n  python -m tollkeeper.simulator {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    return command


def _add_serve(commands: Any) -> None:
    command = _command(
        commands, "serve", _serve, "Run the provider until stopped.", "serve --port 12111"
    )
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    command.add_argument("--ledger", type=Path, help="append each effect on a charge to this file")
    command.add_argument("--config", type=Path, help="a SimulatorConfig as JSON")
    command.add_argument("--key", action="append", help="a merchant's key (repeat for more)")
    command.add_argument("--api-version", default=NEWEST, help="the accounts' default version")
    command.add_argument("--latency", type=float, help="seconds before a request takes effect")
    command.add_argument("--approve-rate", type=float, help="share of cards approved")
    command.add_argument("--rate-limit", type=int, help="requests per second and account")


def _serve(options: argparse.Namespace) -> int:
    config = _config(options)
    uvloop.run(serve(config, host=options.host, port=options.port, ledger_file=options.ledger))
    return FINE


def _config(options: argparse.Namespace) -> SimulatorConfig:
    if options.config is not None:
        config = msgspec.json.decode(options.config.read_bytes(), type=SimulatorConfig)
    else:
        config = SimulatorConfig()
        config.accounts[0].api_version = options.api_version
    if options.key:
        config.accounts = [
            AccountConfig(f"acct_{place}", key, options.api_version)
            for place, key in enumerate(options.key, 1)
        ]
    if options.latency is not None:
        config.latency_seconds = options.latency
    if options.approve_rate is not None:
        config.issuer = IssuerModel(approve_rate=options.approve_rate)
    if options.rate_limit is not None:
        config.rate_limit_per_second = options.rate_limit
    return config


def _add_fault(commands: Any) -> None:
    command = _command(
        commands, "fault", _fault, "Put faults in force, list or clear them.", "fault list --url U"
    )
    effects = "\n".join(f"  {name:20} {effect.summary}" for name, effect in EFFECTS.items())
    command.epilog = f"effects:\n{effects}\n\n{_EXAMPLES}"
    command.add_argument("action", choices=("add", "list", "clear", "remove"))
    command.add_argument("name", nargs="?", help="the effect to add, or the rule to remove")
    command.add_argument("--url", required=True, help="where the simulator listens")
    for field in msgspec.structs.fields(FaultRule):
        if field.name not in ("effect", "hits"):
            command.add_argument(f"--{field.name.replace('_', '-')}", dest=f"rule_{field.name}")


def _fault(options: argparse.Namespace) -> int:
    if options.action == "list":
        return asyncio.run(_call(options.url, "GET", "/_control/faults"))
    if options.action == "clear":
        return asyncio.run(_call(options.url, "DELETE", "/_control/faults"))
    if options.name is None:
        raise ValueError(f"fault {options.action} needs a name")
    if options.action == "remove":
        return asyncio.run(_call(options.url, "DELETE", f"/_control/faults/{options.name}"))
    rule = {
        name.removeprefix("rule_"): value
        for name, value in vars(options).items()
        if name.startswith("rule_") and value is not None
    }
    if "headers" in rule:
        rule["headers"] = msgspec.json.decode(rule["headers"])
    checked = msgspec.convert({**rule, "effect": options.name}, FaultRule, strict=False)
    body = msgspec.json.encode(checked)
    return asyncio.run(_call(options.url, "POST", "/_control/faults", body))


def _add_ledger(commands: Any) -> None:
    command = _command(
        commands, "ledger", _ledger, "Print what really happened to money.", "ledger --url U"
    )
    command.add_argument("--url", required=True)


def _ledger(options: argparse.Namespace) -> int:
    return asyncio.run(_call(options.url, "GET", "/_control/ledger"))


async def _call(url: str, method: str, path: str, body: bytes | None = None) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url.rstrip("/") + path, data=body) as answer,
    ):
        document = msgspec.json.format(await answer.read())
        print(document.decode())
        return FINE if answer.status == 200 else NO


def _add_shoppers(commands: Any) -> None:
    command = _command(
        commands,
        "shoppers",
        _shoppers,
        "Pay through Tollkeeper's API like a trickle of shoppers.",
        "shoppers --api http://127.0.0.1:8080 --key KEY --rate 1 --seconds 60",
    )
    command.add_argument("--api", required=True, help="where Tollkeeper listens")
    command.add_argument("--key", required=True, help="a Tollkeeper API key")
    command.add_argument("--rate", type=float, default=1.0, help="payments per second")
    command.add_argument("--count", type=int, help="stop after so many payments")
    command.add_argument("--seconds", type=float, help="stop after so long")


def _shoppers(options: argparse.Namespace) -> int:
    plan = Plan(
        api=options.api,
        key=options.key,
        rate=options.rate,
        count=options.count,
        seconds=options.seconds,
    )
    return FINE if asyncio.run(shop(plan, SystemChance())) else NO


if __name__ == "__main__":
    sys.exit(main())
