"""Records to documents in the newest form of the wire format.

Source: Stripe's public description at the newest version known here.
"""

from collections.abc import Callable
from typing import Any

from tollkeeper.simulator.stripe.cards import DECLINES, Card
from tollkeeper.simulator.stripe.records import (
    Account,
    Charge,
    Customer,
    Dispute,
    Endpoint,
    Intent,
    Refund,
)
from tollkeeper.simulator.stripe.versions import Document

EXPIRY_YEAR = 2034
"""Test cards are valid until any future year; this one is far enough."""


def render_intent(intent: Intent, public_url: str) -> Document:
    return {
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.amount_capturable,
        "amount_details": {"tip": {}},
        "amount_received": intent.amount_received,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": intent.automatic_payment_methods,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": intent.client_secret,
        "confirmation_method": intent.confirmation_method,
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "description": intent.description,
        "last_payment_error": intent.last_payment_error,
        "latest_charge": intent.charges[-1] if intent.charges else None,
        "livemode": False,
        "metadata": dict(intent.metadata),
        "next_action": next_action(intent, public_url),
        "on_behalf_of": None,
        "payment_method": intent.payment_method,
        "payment_method_options": _method_options(intent),
        "payment_method_types": list(intent.payment_method_types),
        "processing": None,
        "receipt_email": intent.receipt_email,
        "review": None,
        "setup_future_usage": intent.setup_future_usage,
        "shipping": intent.shipping,
        "statement_descriptor": intent.statement_descriptor,
        "statement_descriptor_suffix": intent.statement_descriptor_suffix,
        "status": intent.status,
        "transfer_data": None,
        "transfer_group": intent.transfer_group,
    }


def next_action(intent: Intent, public_url: str) -> Document | None:
    """Where the shopper authenticates: a redirect if the merchant gave a return URL."""
    if intent.status != "requires_action":
        return None
    page = f"{public_url}/3ds/{intent.id}"
    if intent.return_url:
        return {
            "redirect_to_url": {"return_url": intent.return_url, "url": page},
            "type": "redirect_to_url",
        }
    return {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"stripe_js": page, "type": "three_d_secure_redirect"},
    }


def _method_options(intent: Intent) -> Document:
    card: Document = {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": "automatic",
    }
    if intent.multicapture:
        card["request_multicapture"] = "if_available"
    return {"card": card}


def render_charge(charge: Charge, public_url: str) -> Document:
    decline = DECLINES[charge.decline_code] if charge.declined else None
    return {
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": None if charge.captured_untold else charge.amount_captured,
        "amount_refunded": charge.amount_refunded,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": charge.balance_transaction,
        "billing_details": {
            "address": {
                "city": None,
                "country": None,
                "line1": None,
                "line2": None,
                "postal_code": None,
                "state": None,
            },
            "email": None,
            "name": None,
            "phone": None,
        },
        "calculated_statement_descriptor": "TOLLKEEPER",
        "captured": charge.captured,
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": charge.description,
        "disputed": charge.disputed,
        "failure_balance_transaction": None,
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(charge.metadata),
        "on_behalf_of": None,
        "outcome": None if charge.pending else _outcome(charge),
        "paid": not (charge.declined or charge.pending),
        "payment_intent": charge.intent,
        "payment_method": charge.payment_method,
        "payment_method_details": {"card": _card_details(charge), "type": "card"},
        "radar_options": {},
        "receipt_email": charge.receipt_email,
        "receipt_number": None,
        "receipt_url": f"{public_url}/receipts/{charge.id}",
        "refunded": _is_refunded(charge),
        "review": None,
        "shipping": charge.shipping,
        "source_transfer": None,
        "statement_descriptor": charge.statement_descriptor,
        "statement_descriptor_suffix": charge.statement_descriptor_suffix,
        "status": _charge_status(charge),
        "transfer_data": None,
        "transfer_group": charge.transfer_group,
    }


def _is_refunded(charge: Charge) -> bool:
    """Whether everything came back; what a release without a refund gave back never made it so."""
    return 0 < charge.amount_refunded >= charge.amount - charge.amount_released


def _charge_status(charge: Charge) -> str:
    if charge.pending:
        return "pending"
    return "failed" if charge.declined else "succeeded"


def _outcome(charge: Charge) -> Document:
    if charge.declined and charge.card.blocked:
        return {
            "network_status": "not_sent_to_network",
            "reason": "highest_risk_level",
            "risk_level": "highest",
            "seller_message": "Stripe blocked this payment as too risky.",
            "type": "blocked",
        }
    if charge.declined:
        return {
            "network_status": "declined_by_network",
            "reason": charge.decline_code,
            "risk_level": "normal",
            "seller_message": "The bank did not approve this payment.",
            "type": "issuer_declined",
        }
    return {
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "seller_message": "Payment complete.",
        "type": "authorized",
    }


def _card_details(charge: Charge) -> Document:
    card = charge.card
    details: Document = {
        "amount_authorized": None if charge.declined else charge.amount,
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "fail" if charge.decline_code == "incorrect_cvc" else "pass",
        },
        "country": card.country,
        "exp_month": 12,
        "exp_year": EXPIRY_YEAR,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": f"sim{card.brand}{card.last4}",
        "funding": card.funding,
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card.last4,
        "mandate": None,
        "multicapture": {"status": "available" if charge.multicapture else "unavailable"},
        "network": card.brand,
        "overcapture": {"maximum_amount_capturable": charge.amount, "status": "unavailable"},
        "three_d_secure": _authentication() if charge.authenticated else None,
        "wallet": None,
    }
    if charge.capture_before is not None:
        details["capture_before"] = charge.capture_before
    return details


def _authentication() -> Document:
    return {
        "authentication_flow": "challenge",
        "result": "authenticated",
        "result_reason": None,
        "version": "2.1.0",
    }


def render_refund(refund: Refund, public_url: str) -> Document:
    document: Document = {
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": refund.balance_transaction,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": dict(refund.metadata),
        "payment_intent": refund.intent,
        "reason": refund.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": refund.status,
        "transfer_reversal": None,
    }
    if refund.failure_reason is not None:
        document["failure_reason"] = refund.failure_reason
    return document


def render_dispute(dispute: Dispute, public_url: str) -> Document:
    return {
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transactions": [],
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": dispute.currency,
        "enhanced_eligibility_types": [],
        "evidence": {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": dispute.created + 9 * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": not dispute.blocks_refunds,
        "livemode": False,
        "metadata": {},
        "network_reason_code": "10.4",
        "payment_intent": dispute.intent,
        "reason": dispute.reason,
        "status": dispute.status,
    }


def render_customer(customer: Customer, public_url: str) -> Document:
    return {
        "id": customer.id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": customer.created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": customer.description,
        "discount": None,
        "email": customer.email,
        "invoice_prefix": "SIM",
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": dict(customer.metadata),
        "name": customer.name,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def render_endpoint(endpoint: Endpoint, public_url: str) -> Document:
    """Without its secret, which only the reply to its creation shows."""
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "api_version": endpoint.api_version,
        "application": None,
        "created": endpoint.created,
        "description": endpoint.description,
        "enabled_events": list(endpoint.enabled_events),
        "livemode": False,
        "metadata": dict(endpoint.metadata),
        "status": endpoint.status,
        "url": endpoint.url,
    }


def render_account(account: Account) -> Document:
    return {
        "id": account.id,
        "object": "account",
        "charges_enabled": True,
        "country": account.country,
        "default_currency": "usd",
        "details_submitted": True,
        "email": None,
        "payouts_enabled": True,
        "type": "standard",
    }


def render_payment_method(identifier: str, card: Card) -> Document:
    """The card inside an error or a last_payment_error."""
    return {
        "id": identifier,
        "object": "payment_method",
        "billing_details": {
            "address": {
                "city": None,
                "country": None,
                "line1": None,
                "line2": None,
                "postal_code": None,
                "state": None,
            },
            "email": None,
            "name": None,
            "phone": None,
        },
        "card": {
            "brand": card.brand,
            "checks": {
                "address_line1_check": None,
                "address_postal_code_check": None,
                "cvc_check": None,
            },
            "country": card.country,
            "exp_month": 12,
            "exp_year": EXPIRY_YEAR,
            "fingerprint": f"sim{card.brand}{card.last4}",
            "funding": card.funding,
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": 1_600_000_000,
        "customer": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


RENDERERS: dict[type, Callable[[Any, str], Document]] = {
    Intent: render_intent,
    Charge: render_charge,
    Refund: render_refund,
    Dispute: render_dispute,
    Customer: render_customer,
    Endpoint: render_endpoint,
}
