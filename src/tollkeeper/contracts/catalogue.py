"""Every rule; the documentation's catalogue is drawn from it."""

from typing import Final

from tollkeeper.contracts.asking import Rule
from tollkeeper.contracts.rules import (
    body_removed,
    branch_added,
    content_type,
    default_changed,
    deprecated,
    field_nullable,
    field_optional,
    field_removed,
    field_type,
    header_removed,
    operation_moved,
    parameter_limits,
    parameter_read_only,
    parameter_removed,
    parameter_required,
    parameter_type,
    parameter_values,
    security_changed,
    word_added,
)

RULES: Final[tuple[Rule, ...]] = (
    operation_moved.RULE,
    body_removed.RULE,
    field_removed.RULE,
    header_removed.RULE,
    branch_added.RULE,
    field_nullable.RULE,
    field_optional.RULE,
    field_type.RULE,
    word_added.RULE,
    parameter_removed.RULE,
    parameter_read_only.RULE,
    parameter_required.RULE,
    parameter_values.RULE,
    parameter_type.RULE,
    parameter_limits.RULE,
    default_changed.RULE,
    content_type.RULE,
    security_changed.RULE,
    deprecated.RULE,
)
