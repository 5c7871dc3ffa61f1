"""Stripe's face: its wire format, its objects, its ledger, its controls."""
