"""Who is on call in the demo, as an operator would write it; with the ports of its inbox."""

from typing import Final

DEMO_PLAN: Final = """
[receivers.mail-primary]
kind = "mail"
url = "smtp://127.0.0.1:{mail}"
to = "primary@demo.invalid"
[receivers.mail-secondary]
kind = "mail"
url = "smtp://127.0.0.1:{mail}"
to = "secondary@demo.invalid"
[receivers.chat]
kind = "slack"
url = "http://127.0.0.1:{chat}/payments"
[receivers.chat-backend]
kind = "slack"
url = "http://127.0.0.1:{chat}/backend"

[people.primary]
title = "first on-call engineer"
receivers = ["mail-primary", "chat"]
[people.secondary]
title = "second on-call engineer"
receivers = ["mail-secondary"]

[schedules.engineers]
people = ["primary", "secondary"]
start = "2026-01-05T09:00"
time_zone = "Europe/Berlin"

[[policies.payments.levels]]
targets = ["schedule:engineers"]
wait_seconds = 20
[[policies.payments.levels]]
targets = ["person:primary", "person:secondary"]
wait_seconds = 30
[[policies.payments.levels]]
targets = ["person:primary", "person:secondary", "receiver:chat-backend"]
wait_seconds = 60
"""
"""Who is on call in the demo: two engineers in turn, then both, then the back-end team as well."""
