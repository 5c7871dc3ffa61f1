"""The routes of the provider desk: notices for operators, and the page behind a link."""

from functools import partial
from typing import Final

from tollkeeper.api import desk
from tollkeeper.api.route import Route
from tollkeeper.flows.providers.commands import Answered
from tollkeeper.flows.providers.views import NoticeView

NOTICE: Final = "/v1/notices/{notice_id}"
PAGE: Final = "/desk/{token}"

_ROUTE: Final = partial(
    Route, resource="notice", role="platform", reach="installation", gives=NoticeView
)
_LINK: Final = partial(Route, path=PAGE, resource="notice", role=None, reach="link", gives=None)

DESK: Final = (
    _ROUTE(
        method="GET",
        path="/v1/notices",
        handler=desk.listed,
        summary="Page through notices to providers",
        query=("limit", "cursor"),
        gives=desk.NoticeList,
    ),
    _ROUTE(method="GET", path=NOTICE, handler=desk.read, summary="Read a notice"),
    _ROUTE(
        method="GET",
        path=f"{NOTICE}/pack",
        handler=desk.pack,
        summary="Download the evidence pack of a notice",
        gives=None,
        gives_file="application/zip",
    ),
    _ROUTE(
        method="POST",
        path=f"{NOTICE}/approve",
        handler=desk.approve,
        summary="Let a notice leave",
        body_optional=True,
    ),
    _ROUTE(
        method="POST",
        path=f"{NOTICE}/withdraw",
        handler=desk.withdraw,
        summary="Take a notice back",
        body=desk.Withdraw,
    ),
    _ROUTE(
        method="POST",
        path="/v1/inbound_mail",
        handler=desk.mail,
        summary="Take a provider's mail, which answers a notice",
        body=desk.InboundMail,
        gives=Answered,
    ),
    _ROUTE(
        method="GET",
        path="/v1/providers",
        handler=desk.contacts,
        summary="List the contact cards of providers",
        resource="provider",
        gives=desk.CardList,
    ),
    _LINK(method="GET", handler=desk.shown, summary="Show a notice to its provider"),
    _LINK(
        method="POST",
        handler=desk.answered,
        summary="Answer a notice on its page",
        statuses=(303,),
        form=True,
    ),
)
"""Every route of the provider desk."""
