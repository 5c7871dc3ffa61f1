"""Rollouts: a new integration version earns its traffic. Pure: values, tables, decisions."""
