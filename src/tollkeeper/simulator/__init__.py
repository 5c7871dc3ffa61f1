"""A payment provider that can be broken: Stripe's wire format, its own ledger, faults on request.

Law: imports nothing of tollkeeper but the kernel; no room, flow or plumbing imports it.
"""
