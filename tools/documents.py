"""Documentation that cannot rot: reference pages drawn from the code, and a check of every page.

`documents.py write` draws the generated pages and pictures. `documents.py check` finds those that
differ from the code, links that lead nowhere, pages without a link from `docs/index.md`, and names
of files or modules that do not exist. `./dev check` calls this.
"""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import api_page
import cli_page
import contracts_page
import jobs_page
import metrics_page
import rooms_picture
import scenarios_page
import settings_page
import simulation_page
import simulator_page
from tollkeeper.api.problems import status_of
from tollkeeper.kernel import errors
from tollkeeper.payments import transitions
from tollkeeper.payments.failures import FAILURES
from tollkeeper.wire import addresses, failures, trip

ROOT = Path(__file__).parent.parent
START = "docs/index.md"
GUIDE = "## Where do I go to change something?"
DRAWN = (
    "<!-- Drawn from the code by `./dev run python tools/documents.py write`; do not edit. -->\n\n"
)

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
OUR_FILE = re.compile(r"(?:src|tests|tools|docs|requirements|bench|changes)/[\w./-]*[\w/]")
SHORT_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:\.py|/)")
OUR_MODULE = re.compile(r"tollkeeper(?:\.[A-Za-z_]\w*)+")
SIDES = {"caller": "the caller", "ours": "us", "provider": "the provider"}


def errors_page() -> str:
    """`docs/reference/errors.md`: every class of error with its code, side and advice."""
    rows = [
        f"| `{kind.code}` | {status_of(kind)[0]} | {SIDES[kind.side]} | {_yes(kind.retryable)} "
        f"| {_yes(kind.money_may_have_moved)} | {kind.advice} |"
        for kind in sorted(error_classes(), key=lambda kind: kind.code)
    ]
    return (
        "# Errors\n\nEvery answer that is not a success is a problem document (RFC 9457) with one "
        "of these codes. A decline is not an error. It is a payment with the status `failed`, or a "
        "refund that did not succeed, with a reason.\n\n"
        "| code | HTTP status | who has to act | retry | money may have moved | advice |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n" + _failures()
    )


def _failures() -> str:
    rows = [
        f"| `{code}` | {failure.says} | {_yes(failure.retryable)} |"
        for code, failure in sorted(FAILURES.items())
    ]
    return (
        "## Failure codes\n\nA failed payment or refund has its reason in `failure_code`. The "
        "codes never change their meaning. `provider_error` has the provider's own code, parameter "
        "and message, masked and shortened. It is for people, not for programs.\n\n"
        "| code | meaning | may be tried again |\n"
        "|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def error_classes() -> list[type[errors.TollkeeperError]]:
    """The tree of errors, its root first."""
    found = [errors.TollkeeperError]
    for kind in found:  # grows while it is walked
        found.extend(kind.__subclasses__())
    return found


def moves_page() -> str:
    """`docs/reference/statuses.md`: the table of a payment's legal moves."""
    rows = [
        f"| `{move}` | {why} | {'<br>'.join(f'`{old}` → `{new}`' for old, new in pairs.items())} |"
        for move, (why, pairs) in transitions.MOVES.items()
    ]
    final = ", ".join(f"`{status}`" for status in sorted(transitions.FINAL))
    return (
        "# A payment's statuses\n\nA payment changes its status only by one of these moves. "
        f"Final statuses are {final}. Only a move that says so leaves a final status.\n\n"
        "| move | what happened | from → to |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def wire_page() -> str:
    """`docs/reference/wire.md`: the stages of a request to a provider, their budgets and words."""
    budgets = trip.Budgets()
    rows = [
        f"| `{stage}` | {getattr(budgets, stage):g} s | `{failures.TIMEOUTS[stage]}` "
        f"| {_yes(stage in trip.ACQUIRED)} |"
        for stage in trip.STAGES
    ]
    words = {*failures.TIMEOUTS.values(), *failures.ERRNOS.values(), *failures.OTHER_WORDS}
    words |= {word for _, word in failures.KINDS}
    return (
        "# The wire\n\nA request to a provider passes these stages. The last column decides "
        "whether the service may send it again: once a connection is established, silence proves "
        f"nothing. All stages together get {budgets.total:g} s.\n\n"
        "| stage | budget | word at timeout | the provider may have acted |\n|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\nWords for failures (RFC 9209, section 2.3): "
        + ", ".join(f"`{word}`" for word in sorted(words))
        + ".\n"
    )


def destinations_page() -> str:
    """`docs/reference/webhook-destinations.md`: where outgoing webhooks may not go."""
    rows = [f"| `{network}` | {what} |" for network, what in addresses.DENIED.items()]
    return (
        "# Where outgoing webhooks may go\n\n"
        "The service sends webhooks only to HTTPS URLs whose name "
        "resolves to public addresses. It resolves the name at each sending, checks every address, "
        "and calls the address that it checked. An IPv4 address inside an IPv6 address (mapped, or "
        f"translated by `{addresses.TRANSLATED}`) is checked as IPv4. Any other IPv6 address must "
        f"be in `{addresses.PUBLIC_IPV6}`. For development, a setting allows this machine, also "
        "without TLS.\n\n| denied | what it is |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/api.md": api_page.page,
    "docs/reference/cli.md": cli_page.page,
    "docs/reference/contracts.md": contracts_page.page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/jobs.md": jobs_page.page,
    "docs/reference/planted-bugs.md": simulation_page.page,
    "docs/reference/metrics.md": metrics_page.page,
    "docs/reference/scenarios.md": scenarios_page.page,
    "docs/reference/settings.md": settings_page.page,
    "docs/reference/simulator.md": simulator_page.page,
    "docs/reference/statuses.md": moves_page,
    "docs/reference/webhook-destinations.md": destinations_page,
    "docs/reference/wire.md": wire_page,
}
"""Generated page to what draws it."""

FILES: dict[str, Callable[[], str]] = {
    "docs/pictures/rooms.svg": rooms_picture.svg,
    "docs/reference/report.schema.json": contracts_page.report_schema,
    "docs/reference/usage.schema.json": contracts_page.usage_schema,
}
"""Generated file that is no page to what draws it: pictures and JSON Schemas."""


def _yes(answer: bool) -> str:  # noqa: FBT001 - a word for a table's cell
    return "yes" if answer else "no"


def pages(root: Path) -> list[Path]:
    """Every Markdown page that is ours, changelog fragments excepted."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]


def stale(root: Path) -> Iterator[str]:
    for name, draw in PAGES.items():
        path = root / name
        if not path.is_file() or path.read_text() != DRAWN + draw():
            yield f"{name} is not what the code says: run tools/documents.py write"
    for name, draw in FILES.items():
        if not (root / name).is_file() or (root / name).read_text() != draw():
            yield f"{name} is not what the code says: run tools/documents.py write"


def undrawn(root: Path) -> Iterator[str]:
    for name in sorted(rooms_picture.undrawn()) if root == ROOT else ():
        yield f"{name} has no place in the picture: enter it in tools/rooms_picture.py"


def dead_links(root: Path) -> Iterator[str]:
    for page in pages(root):
        for target in _targets(page):
            path, _, anchor = target.partition("#")
            goal = page.parent / path if path else page
            if not goal.exists():
                yield f"{page.relative_to(root)}: link to {target} leads nowhere"
            elif anchor and goal.suffix == ".md" and anchor not in _anchors(goal):
                yield f"{page.relative_to(root)}: {goal.name} has no heading #{anchor}"


def unreachable(root: Path) -> Iterator[str]:
    seen, ahead = set[Path](), [(root / START).resolve()]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        ahead.extend(
            (page.parent / target.partition("#")[0]).resolve() for target in _targets(page)
        )
    for page in sorted((root / "docs").rglob("*.md")):
        if page.resolve() not in seen:
            yield f"{page.relative_to(root)} cannot be reached from {START}"


def dead_names(root: Path) -> Iterator[str]:
    for page in pages(root):
        for span in CODE.findall(FENCE.sub("", page.read_text())):
            if OUR_FILE.fullmatch(span) and not (root / span).exists():
                yield f"{page.relative_to(root)}: there is no file {span}"
            if OUR_MODULE.fullmatch(span) and not _module_exists(root, span):
                yield f"{page.relative_to(root)}: there is no module or name {span}"


def dead_paths(root: Path) -> Iterator[str]:
    """Paths in the table "Where do I go to change something?" that do not exist."""
    page = root / "CONTRIBUTING.md"
    for span in CODE.findall(_guide(page.read_text()) if page.is_file() else ""):
        below_source = root / "src" / "tollkeeper" / span
        if SHORT_PATH.fullmatch(span) and not (below_source.exists() or (root / span).exists()):
            yield f"{page.name}: there is no {span} in the project or below src/tollkeeper"


def _guide(text: str) -> str:
    """The rows of the table of places."""
    _, _, after = text.partition(GUIDE)
    return "\n".join(line for line in after.partition("\n## ")[0].splitlines() if "|" in line)


def _module_exists(root: Path, dotted: str) -> bool:
    """Whether `dotted` is a module or package, or a name that the module before it mentions."""
    path = root / "src" / dotted.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    file, name = path.parent.with_suffix(".py"), path.name
    return file.is_file() and re.search(rf"\b{name}\b", file.read_text()) is not None


def _targets(page: Path) -> list[str]:
    """Relative targets of a page's links and pictures, code blocks excepted."""
    text = FENCE.sub("", page.read_text())
    return [link for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]


def _anchors(page: Path) -> set[str]:
    """Heading anchors as forges make them: lower case, punctuation gone, spaces to hyphens."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def problems(root: Path = ROOT) -> list[str]:
    """Everything that the checks found."""
    return [
        *undrawn(root),
        *stale(root),
        *dead_links(root),
        *unreachable(root),
        *dead_names(root),
        *dead_paths(root),
    ]


def main(arguments: list[str]) -> int:
    match arguments:
        case ["write"]:
            for name, draw in PAGES.items():
                (ROOT / name).write_text(DRAWN + draw())
                print(name)
            for name, draw in FILES.items():
                (ROOT / name).write_text(draw())
                print(name)
            return 0
        case ["check"]:
            found = problems()
            print("\n".join(found) or "documents: in step with the code")
            return 1 if found else 0
        case _:
            print("usage: documents.py write|check")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
