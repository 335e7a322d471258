"""The services of people, built over those of the system."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from app.records.people.account_ledger import AccountLedger
from app.records.people.openid_ledger import OpenIdLedger
from app.records.people.people_ledger import PeopleLedger
from app.records.people.session_ledger import SessionLedger
from app.services.context import Context
from app.services.people.accounts import Accounts
from app.services.people.audit import AuditService
from app.services.people.directory import Directory
from app.services.people.openid import OpenIdSignIn
from app.services.people.passwords import Passwords
from app.services.people.people import People
from app.services.people.run_tokens import RunTokens
from app.services.people.sign_in import SignInService
from app.services.people.throttle import Throttle
from app.services.people.tokens import Tokens
from app.services.system.build import SystemServices
from app.services.system.secret_key import SecretKey


@dataclass(frozen=True)
class PeopleServices:
    """The services of people, their sign-in and their audit."""

    accounts: Accounts
    directory: Directory
    people: People
    sign_ins: SignInService
    openid: OpenIdSignIn | None
    tokens: Tokens
    run_tokens: RunTokens
    audit: AuditService


def build(context: Context, system: SystemServices) -> PeopleServices:
    """Build the services of people."""
    stores, settings, feed = context.stores, context.settings, context.feed
    ledger, sessions, people = AccountLedger(stores), SessionLedger(stores), PeopleLedger(stores)
    of_runs = RunTokens(context, system.leases, entropy=secrets.token_bytes)
    accounts = Accounts(
        (ledger, sessions, people),
        entropy=secrets.token_bytes,
        data_dir=settings.data_root,
        feed=feed,
        of_runs=of_runs.holder,
    )
    context.adapters.secrets.add(accounts.secrets)
    directory = Directory(people, feed)
    key = SecretKey(context)
    return PeopleServices(
        accounts=accounts,
        directory=directory,
        people=People(people, sessions, accounts, directory, context.adapters.agents.names),
        sign_ins=SignInService(ledger, accounts, key, Throttle(), Passwords()),
        openid=_openid(context, accounts, people),
        tokens=Tokens(people, directory, secrets.token_bytes),
        run_tokens=of_runs,
        audit=AuditService(stores, system.outbox.catch_up, keep_days=settings.audit_days),
    )


def _openid(context: Context, accounts: Accounts, people: PeopleLedger) -> OpenIdSignIn | None:
    provider, stores = context.adapters.identity_provider, context.stores
    if provider is None:
        return None
    accounts.provider = provider.host
    ledgers = OpenIdLedger(stores), AccountLedger(stores), people
    return OpenIdSignIn(ledgers, accounts, provider, context.settings.oidc_groups)
