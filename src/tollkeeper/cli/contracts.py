"""`tollkeeper contracts`: will this provider update break us?"""

import sys
from pathlib import Path
from typing import Annotated, Final, Literal

import cyclopts
import msgspec

from tollkeeper import app as root
from tollkeeper.contracts.check import Checked
from tollkeeper.contracts.deriving import reader_through, usage_of
from tollkeeper.contracts.description import Description, read_description
from tollkeeper.contracts.neighbors import Load
from tollkeeper.contracts.reports.machines import as_junit, as_sarif
from tollkeeper.contracts.reports.plain import as_json, as_markdown, as_text
from tollkeeper.contracts.usage import Usage, read_usage
from tollkeeper.contracts.verdict import check as verdict_on
from tollkeeper.contracts.verdict import unreadable
from tollkeeper.contracts.witness import Reader
from tollkeeper.integrations.catalogue import find
from tollkeeper.kernel.errors import Invalid, UnreadableText

MAX_BYTES: Final = 64_000_000
"""The largest text read; the largest description known has 8 MB."""

Format = Literal["text", "json", "markdown", "sarif", "junit"]

app = cyclopts.App(name="contracts", help="Check a provider's update against our usage.")
# by name: a check of two files needs nothing of the service
app.command(
    "tollkeeper.cli.rehearsing:rehearse",
    name="rehearse",
    help="Run the playbooks against a live endpoint.\n\n"
    "Example: `tollkeeper contracts rehearse stripe@2022-11-15 --endpoint http://127.0.0.1:12111`",
)
app.command(
    "tollkeeper.cli.rehearsing:replay",
    name="replay",
    help="Let a version reread the replies that others received.\n\n"
    "Example: `tollkeeper contracts replay stripe@2022-11-15 --days 7`",
)
app.command(
    "tollkeeper.cli.rehearsing:skew",
    name="skew",
    help="Ask the provider whether its configured versions fit ours.\n\n"
    "Example: `tollkeeper contracts skew stripe@2022-11-15`",
)
app.command(
    "tollkeeper.cli.rehearsing:watch",
    name="watch",
    help="Check the watched descriptions now.\n\nExample: `tollkeeper contracts watch`",
)


@app.command
def check(
    *,
    new: Annotated[Path, cyclopts.Parameter(help="The provider's new description.")],
    old: Annotated[
        Path | None,
        cyclopts.Parameter(help="The old description, to mark findings that are not new."),
    ] = None,
    integration: Annotated[
        str | None, cyclopts.Parameter(help="An installed version, such as stripe@2022-11-15.")
    ] = None,
    usage: Annotated[
        Path | None, cyclopts.Parameter(help="A usage file, for any other integration.")
    ] = None,
    format: Annotated[Format, cyclopts.Parameter(help="Output format.")] = "text",
) -> int:
    """Check one integration against a description; exit 1 if it is not compatible.

    Example: `tollkeeper contracts check --integration stripe@2022-08-01 --old a.json --new b.json`
    """
    checked = contract_verdict(new=new, old=old, usage=usage, integration=integration)
    printers = {
        "text": as_text,
        "json": as_json,
        "markdown": as_markdown,
        "sarif": lambda result: as_sarif(result, new.name),
        "junit": as_junit,
    }
    sys.stdout.write(printers[format](checked))
    return 0 if checked.compatible else 1


@app.command(name="usage")
def print_usage(integration: str, /) -> int:
    """Print what an installed version sends and reads, as a usage file.

    Example: `tollkeeper contracts usage stripe@2022-11-15`
    """
    used, _ = contract_usage(integration, None)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(used), indent=1).decode() + "\n")
    return 0


def contract_verdict(
    *, new: Path, old: Path | None, usage: Path | None, integration: str | None
) -> Checked:
    """What the files say: one integration (a usage file's, or an installed one) against the new
    description, compared with the old one where there is one."""
    if (integration is None) == (usage is None):
        raise Invalid("give either --integration or --usage")
    used, reader = contract_usage(integration, usage)
    try:
        before = _description(old) if old is not None else None
        after = _description(new)
    except UnreadableText as error:
        name, _, why = error.detail.partition(": ")
        return unreadable(used, name, why)
    return verdict_on(used, after, before, reader)


def contract_usage(integration: str | None, usage: Path | None) -> tuple[Usage, Reader | None]:
    """The usage from a file, or of an installed version with the real code as its reader."""
    if usage is not None:
        return read_usage(_bytes(usage)), None
    version = find(integration or "")
    return usage_of(version, root.sources_of(version)), reader_through(version)


def _description(path: Path) -> Description:
    text = _bytes(path)
    try:
        return read_description(text, _neighbors_of(path), path.name)
    except Invalid as error:
        raise type(error)(f"{path}: {error.detail}", faults=error.faults) from error


def _neighbors_of(path: Path) -> Load:
    """Reads the files beside a description and below: nothing that a link leads out of there."""
    folder = path.resolve().parent

    def load(name: str) -> bytes | None:
        beside = (folder / name).resolve()
        inside = beside.is_relative_to(folder) and beside.is_file()
        return _bytes(beside) if inside and beside.stat().st_size <= MAX_BYTES else None

    return load


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Invalid(
                f"{path} is larger than {MAX_BYTES // 1_000_000} MB, the limit for descriptions"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Invalid(f"{path} cannot be read: {why}") from error
