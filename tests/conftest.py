"""What every test may count on: a coroutine test runs on a fresh event loop.

A test that has a fixture `loop_factory` runs on the loop that it makes.
"""

import asyncio
import inspect
from collections.abc import Callable
from typing import cast

import hypothesis
import pytest

type LoopFactory = Callable[[], asyncio.AbstractEventLoop]

# The machine's mood is no fact about the code: a slow example is the runner's timeout's business.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True)
hypothesis.settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    test = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted})
    factory = cast("LoopFactory | None", pyfuncitem.funcargs.get("loop_factory"))
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(test)
    return True
