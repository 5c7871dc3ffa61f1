"""`tollkeeper keys`: keys of the API."""

from typing import Annotated

import cyclopts

from tollkeeper.cli.opening import (
    AsJson,
    Config,
    console,
    print_json,
    table_of,
    with_runtime,
    with_store,
)
from tollkeeper.flows.operations import keys
from tollkeeper.flows.ports import ApiKey, Store
from tollkeeper.flows.runtime import Runtime
from tollkeeper.kernel.clock import rfc3339

app = cyclopts.App(name="keys", help="Create, list and revoke API keys.")


@app.command
def create(
    *,
    role: Annotated[
        str, cyclopts.Parameter(help="Role: viewer, service, operator, admin or platform.")
    ] = "service",
    account: Annotated[
        str, cyclopts.Parameter(help="The account whose payments the key can use.")
    ] = "default",
    label: Annotated[str, cyclopts.Parameter(help="A name to recognize the key.")] = "",
    json: AsJson = False,
    config: Config = None,
) -> int:
    """Create a key and print its secret, which is shown only once.

    A key acts on its own account. `platform` also acts on the rollouts of every account.

    Example: `tollkeeper keys create --role service --label checkout`
    """

    async def make(runtime: Runtime) -> tuple[ApiKey, str]:
        return await keys.create_key(runtime, account, role, label)

    key, secret = with_runtime(config, make)
    if json:
        print_json({"id": key.id, "role": key.role, "account": key.account, "secret": secret})
    else:
        console.print(f"{key.id} ({key.role} of account {key.account})")
        console.print(f"[bold]{secret}[/bold]")
    return 0


@app.command(name="list")
def list_(*, json: AsJson = False, config: Config = None) -> int:
    """List keys, without their secrets, which are not stored.

    Example: `tollkeeper keys list`
    """

    async def read(store: Store) -> list[ApiKey]:
        return await keys.list_keys(store)

    found = with_store(config, read)
    if json:
        print_json([_plain(key) for key in found])
        return 0
    table = table_of("id", "role", "account", "label", "created", "revoked")
    for key in found:
        revoked = rfc3339(key.revoked_ms)[:19] if key.revoked_ms else ""
        table.add_row(
            key.id, key.role, key.account, key.label, rfc3339(key.created_ms)[:19], revoked
        )
    console.print(table)
    return 0


@app.command
def revoke(key_id: str, /, *, json: AsJson = False, config: Config = None) -> int:
    """Revoke a key; it is invalid on every replica within two seconds.

    Example: `tollkeeper keys revoke key_01m7q5cqg00n9tdzzy37gh1mk3`
    """

    async def end(runtime: Runtime) -> ApiKey:
        return await keys.revoke_key(runtime, key_id)

    key = with_runtime(config, end)
    if json:
        print_json(_plain(key))
    else:
        console.print(f"{key.id} is revoked")
    return 0


def _plain(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "role": key.role,
        "account": key.account,
        "label": key.label,
        "created_at": rfc3339(key.created_ms),
        "revoked_at": rfc3339(key.revoked_ms) if key.revoked_ms else None,
    }
