"""Scenario files: those that come with it are sound, and whatever else is read gives an error."""

import contextlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollkeeper.kernel.errors import Invalid
from tollkeeper.proving.breaking import STRIKES
from tollkeeper.proving.program import known
from tollkeeper.proving.scenario import KINDS, Scenario, parse, read
from tollkeeper.simulator.core.faults import EFFECTS

SOUND = b"""
id = "X1"
title = "the provider is down"
[truth]
domain = "provider_down"
[[fault]]
kind = "provider"
rule = { effect = "error", when = "before", status = 503 }
"""


@pytest.mark.parametrize("path", known().values(), ids=known())
def test_every_scenario_that_comes_with_it_is_read(path: Path) -> None:
    found = read(path)
    assert found.id == path.stem
    for one in found.fault:
        effect = getattr(one, "rule", {}).get("effect")
        assert effect is None or effect in EFFECTS


def test_every_primitive_can_strike() -> None:
    assert set(STRIKES) == set(KINDS.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (b'domain = "provider_dwn"', "did you mean provider_down?"),
        (b'kind = "provder"', "did you mean provider?"),
        (b'id = "a b"', "id"),
        (b"severity = 2", "severity"),
        (b"severity = nan", "severity"),
        (b"end_seconds = 0", "after start_seconds"),
        (b"nonsense = 1", "nonsense"),
        (b"rule = {}", "a rule or settings"),
        (b'kind = "dns"\neffect = "timeout"', "tls = true"),
        (b'kind = "store"\neffect = "stopped"', "postgresql"),
    ],
)
def test_what_is_wrong_is_named(change: bytes, said: str) -> None:
    name = change.split(b" ")[0]
    lines = [line for line in SOUND.splitlines() if not line.startswith(name + b" ")]
    if name == b"kind":
        lines = [line for line in lines if not line.startswith(b"rule")]
    at = 1 if name == b"id" else lines.index(b"[truth]") + 1 if name == b"domain" else len(lines)
    lines.insert(at, change)
    with pytest.raises(Invalid) as caught:
        parse(b"\n".join(lines), "x.toml")
    assert said in f"{caught.value.detail} {caught.value.faults}"


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="No such file"):
        read(tmp_path / "absent.toml")


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
        st.sampled_from([*KINDS, "provider_down", "timeout", "stopped", "surge", "error"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["kind", "severity", "effect", "rule", "domain", "slice", "rate", "shape", "x"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(["id", "title", "truth", "fault", "world", "expect", "more"]), VALUES
    )
)
def test_whatever_a_file_holds_it_is_a_scenario_or_one_error(document: dict[str, Any]) -> None:
    text = toml_of(tomllib.loads(SOUND.decode()) | document)
    with contextlib.suppress(Invalid):
        assert isinstance(parse(text.encode()), Scenario)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_scenario_or_one_error(body: bytes) -> None:
    with contextlib.suppress(Invalid):
        assert isinstance(parse(body), Scenario)


def toml_of(value: Any) -> str:
    """A document as TOML, as far as TOML can say it."""
    return "\n".join(f"{name} = {inline(one)}" for name, one in value.items() if one is not None)


def inline(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{k}" = {inline(v)}' for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(one) for one in value) + "]"
    if value is None:
        return '"none"'
    if isinstance(value, str):
        shown = "".join(c if c.isalnum() else f"\\u{ord(c):04x}" for c in value if ord(c) < 0xD800)
        return f'"{shown}"'
    return repr(value)
