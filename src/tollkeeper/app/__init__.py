"""The composition root: one module a task; this page says what programs may use."""

from tollkeeper.app.logging import configure_logging, log
from tollkeeper.app.open_store import FATAL_EXIT, open_store, upgrade_database
from tollkeeper.app.programs import MAX_FETCHED_BYTES, fetch, module_source, rehearse, sources_of
from tollkeeper.app.service import JOBS, Service, handlers, probe
from tollkeeper.app.settings_file import CONFIG_VARIABLE, is_loopback, read_settings, require_keys
from tollkeeper.app.system import AesVault, ServerClock, SystemChance, SystemClock, vault_of

__all__ = [
    "CONFIG_VARIABLE",
    "FATAL_EXIT",
    "JOBS",
    "MAX_FETCHED_BYTES",
    "AesVault",
    "ServerClock",
    "Service",
    "SystemChance",
    "SystemClock",
    "configure_logging",
    "fetch",
    "handlers",
    "is_loopback",
    "log",
    "module_source",
    "open_store",
    "probe",
    "read_settings",
    "rehearse",
    "require_keys",
    "sources_of",
    "upgrade_database",
    "vault_of",
]
