"""Who is on call in the demo, and the provider's contacts, as an operator would write them."""

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

DEMO_CARDS: Final = """
[providers.stripe]
title = "Stripe (the demo's simulator)"
account_ids = ["acct_demo0001"]
stale_days = 3650

[providers.stripe.agreement.times.P1]
acknowledge_minutes = 2
answer_minutes = 10
[providers.stripe.agreement.times.P2]
acknowledge_minutes = 2
answer_minutes = 10

[[providers.stripe.contacts]]
name = "support"
role = "technical support"
level = "L1"
verified = "{today}"
[[providers.stripe.contacts.channels]]
kind = "mail"
url = "smtp://127.0.0.1:{mail}"
to = "support@provider.invalid"
sender = "tollkeeper@demo.invalid"

[[providers.stripe.contacts]]
name = "escalation"
role = "escalation manager"
level = "L2"
verified = "{today}"
[[providers.stripe.contacts.channels]]
kind = "slack"
url = "http://127.0.0.1:{chat}/provider"

[[providers.stripe.contacts]]
name = "account"
role = "account manager"
level = "L3"
verified = "{today}"
[[providers.stripe.contacts.channels]]
kind = "mail"
url = "smtp://127.0.0.1:{mail}"
to = "account@provider.invalid"
[[providers.stripe.contacts.channels]]
kind = "phone"
says = "the number in the contract"
"""
"""The demo's provider: three rungs, all of whose channels end in the demo's inbox."""
