"""The straightforward service that ours is measured against: what a good team writes in a week.

FastAPI, SQLAlchemy's async ORM and the provider's own library. It writes what ours writes: the
idempotency key, the payment and the attempt with its job in one transaction before the provider is
called; outcome, audit row, event and stored answer in another one after it. Runs in an environment
of its own (`./dev bench-env`), and is started by `payments.py`.
"""

import argparse
import hashlib
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import stripe
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, Field
from sqlalchemy import JSON, ForeignKey, event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

KEY = "key"
PROVIDER_KEY = "sk_test_tollkeeper"
PROVIDER_VERSION = "2022-11-15"


def new_id() -> str:
    return uuid.uuid4().hex


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)  # noqa: TID251 - a stranger, and no simulation


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "plain_accounts"
    id: Mapped[str] = mapped_column(primary_key=True)
    key_digest: Mapped[str] = mapped_column(unique=True)


class IdempotencyKey(Base):
    __tablename__ = "plain_keys"
    account: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    payment_id: Mapped[str]
    status: Mapped[int | None]
    body: Mapped[str | None]


class Payment(Base):
    __tablename__ = "plain_payments"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(index=True)
    amount_minor: Mapped[int]
    currency: Mapped[str]
    payment_method: Mapped[str]
    capture_method: Mapped[str]
    status: Mapped[str] = mapped_column(index=True)
    captured_minor: Mapped[int] = mapped_column(default=0)
    provider_id: Mapped[str | None] = mapped_column(index=True)
    customer: Mapped[str | None] = mapped_column(index=True)
    reference: Mapped[str | None] = mapped_column(index=True)
    details: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class Attempt(Base):
    __tablename__ = "plain_attempts"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    payment_id: Mapped[str] = mapped_column(ForeignKey("plain_payments.id"), index=True)
    operation: Mapped[str]
    outcome: Mapped[str | None]
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    reply: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    sent_at: Mapped[datetime] = mapped_column(default=now)


class Audit(Base):
    __tablename__ = "plain_audit"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    payment_id: Mapped[str] = mapped_column(ForeignKey("plain_payments.id"), index=True)
    cause: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(default=now)


class Event(Base):
    __tablename__ = "plain_events"
    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    account: Mapped[str] = mapped_column(index=True)
    payment_id: Mapped[str]
    type: Mapped[str]
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(default=now)


class Job(Base):
    __tablename__ = "plain_jobs"
    payment_id: Mapped[str] = mapped_column(primary_key=True)
    run_at: Mapped[datetime] = mapped_column(index=True)


class CreatePayment(BaseModel):
    amount_minor: int = Field(gt=0)
    currency: str = Field(pattern="^[A-Z]{3}$")
    payment_method: str
    capture_method: str = Field("automatic", pattern="^(automatic|manual)$")
    customer: str | None = None
    reference: str | None = None
    metadata: dict[str, str] = {}


class PaymentView(BaseModel):
    id: str
    amount_minor: int
    currency: str
    status: str
    capture_method: str
    captured_minor: int
    provider_id: str | None
    customer: str | None
    reference: str | None
    created_at: datetime
    updated_at: datetime


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with app.state.sessions() as session, session.begin():
        await session.merge(
            Account(id="default", key_digest=hashlib.sha256(KEY.encode()).hexdigest())
        )
    yield
    await app.state.engine.dispose()


app = FastAPI(lifespan=lifespan)


async def session_of(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(session_of)]


async def account_of(session: Session, authorization: Annotated[str, Header()]) -> Account:
    digest = hashlib.sha256(authorization.removeprefix("Bearer ").encode()).hexdigest()
    account = await session.scalar(select(Account).where(Account.key_digest == digest))
    if account is None:
        raise HTTPException(401)
    await session.commit()  # ends the reading transaction
    return account


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/v1/payments", status_code=201)
async def create(
    asked: CreatePayment,
    request: Request,
    session: Session,
    account: Annotated[Account, Depends(account_of)],
    idempotency_key: Annotated[str, Header()],
) -> PaymentView:
    payment, attempt = await opened(session, account.id, asked, idempotency_key)
    intent = await request.app.state.provider.v1.payment_intents.create_async(
        attempt.request, {"idempotency_key": attempt.id}
    )
    return await recorded(session, payment, attempt, intent, idempotency_key)


async def opened(
    session: AsyncSession, account: str, asked: CreatePayment, key: str
) -> tuple[Payment, Attempt]:
    """The first transaction: everything that must be known before the provider is called."""
    text = asked.model_dump_json()
    fields = asked.model_dump(exclude={"metadata"})
    payment = Payment(id=new_id(), account=account, status="processing", **fields)
    payment.details = asked.metadata
    params = {
        "amount": asked.amount_minor,
        "currency": asked.currency.lower(),
        "confirm": True,
        "capture_method": asked.capture_method,
        "payment_method": asked.payment_method,
        "payment_method_types": ["card"],
        "metadata": {"payment": payment.id},
        "return_url": f"http://127.0.0.1/v1/return/{payment.id}",
        "expand": ["latest_charge"],
    }
    attempt = Attempt(id=new_id(), payment_id=payment.id, operation="authorize", request=params)
    try:
        async with session.begin():
            session.add(
                IdempotencyKey(
                    account=account,
                    key=key,
                    fingerprint=hashlib.sha256(text.encode()).hexdigest(),
                    payment_id=payment.id,
                )
            )
            session.add(payment)
            await session.flush()
            session.add(attempt)
            session.add(Audit(payment_id=payment.id, cause="created", body=json.loads(text)))
            session.add(Job(payment_id=payment.id, run_at=now() + timedelta(seconds=32)))
    except IntegrityError:
        raise HTTPException(409) from None
    return payment, attempt


async def recorded(
    session: AsyncSession, payment: Payment, attempt: Attempt, intent: Any, key: str
) -> PaymentView:
    """The second transaction: what became of it, and who is told."""
    async with session.begin():
        payment.status = "succeeded" if intent.status == "succeeded" else intent.status
        payment.captured_minor = intent.amount_received
        payment.provider_id = intent.id
        attempt.outcome = "approved"
        attempt.reply = intent.to_dict()
        await session.flush()
        view = PaymentView.model_validate(payment, from_attributes=True)
        body = view.model_dump(mode="json")
        session.add(Audit(payment_id=payment.id, cause="authorize.answered", body=body))
        session.add(
            Event(
                account=payment.account,
                payment_id=payment.id,
                type=f"payment.{payment.status}",
                body=body,
            )
        )
        stored = await session.get_one(IdempotencyKey, (payment.account, key))
        stored.status, stored.body = 201, json.dumps(body)
        await session.delete(await session.get_one(Job, payment.id))
    return view


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--database", required=True)
    options.add_argument("--provider", required=True)
    given = options.parse_args()
    app.state.engine = engine_for(given.database)
    app.state.sessions = async_sessionmaker(app.state.engine, expire_on_commit=False)
    app.state.provider = stripe.StripeClient(
        PROVIDER_KEY,
        stripe_version=PROVIDER_VERSION,
        base_addresses={"api": given.provider},
        max_network_retries=0,
        http_client=stripe.AIOHTTPClient(),
    )
    uvicorn.run(app, port=given.port, loop="uvloop", http="httptools", access_log=False)


def engine_for(database: str) -> Any:
    """SQLite as durable as ours: WAL, synchronous FULL."""
    if database.startswith("postgresql://"):
        url = database.replace("postgresql://", "postgresql+asyncpg://", 1)
        return create_async_engine(url, pool_size=10, max_overflow=10)
    engine = create_async_engine(f"sqlite+aiosqlite:///{database}", connect_args={"timeout": 30})

    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    return engine


if __name__ == "__main__":
    main()
