"""Authorities of certificates for the proving ground, where the package for them is installed."""

from typing import Any

from tollkeeper.kernel.errors import Misconfigured


def authority() -> Any:
    """A fresh authority of `trustme`. Raises `Misconfigured` where that is not installed."""
    try:
        import trustme  # noqa: PLC0415 - of the tests' environment
    except ImportError:
        raise Misconfigured("scenarios with TLS need the package trustme: install it") from None
    return trustme.CA()
