"""Payment providers that can be broken: a core, and a folder for each provider's face.

Law: imports nothing of tollkeeper but the kernel; no room, flow or plumbing imports it. The core
imports no face.
"""
