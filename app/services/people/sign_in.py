"""Signing in with a password and a one-time code, invitations, and a person's own account."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from pyotp import random_base32
from pyotp.totp import TOTP

from app.domain.people.emails import clean_email
from app.domain.people.passwords import password_problem
from app.domain.people.preferences import zone_problem
from app.domain.people.run_agents import NOT_A_PERSONS, is_taken_name
from app.errors import Invalid, NotFound, RateLimited, Refusal
from app.records.people.account_ledger import AccountLedger
from app.records.tables import LoginLink, Person
from app.services.people.accounts import Accounts, Client, NewSession, hash_of
from app.services.people.passwords import Passwords
from app.services.people.throttle import Throttle
from app.services.system.secret_key import SecretKey

INVITATION_LIFETIME = timedelta(hours=24)
CODE_SECONDS = 30
# codes of the 30 seconds before and after count, too, for clocks that differ
WINDOW = 1
RECOVERY_CODES = 10
ISSUER = "Runyard"
OF_GROUPS = "This account comes from a group at the identity provider: it has no password here."
OF_THE_MACHINE = (
    "This account belongs to the machine and has no e-mail address to sign in with: invite "
    "yourself as a person."
)


class WrongPassword(Refusal):
    """The e-mail address, the password or the code is wrong."""

    code, status = "wrong_password", 401


class TooManyTries(RateLimited):
    """Too many wrong passwords: wait before the next try."""


@dataclass(frozen=True)
class NewCodes:
    """The secret for an authenticator app, also as an `otpauth:` address."""

    secret: str
    address: str


class SignInService:
    """Checks passwords and codes, and lets people set theirs.

    Failures are told alike, and take as long, whatever was wrong.
    """

    def __init__(
        self,
        ledger: AccountLedger,
        accounts: Accounts,
        key: SecretKey,
        throttle: Throttle,
        passwords: Passwords,
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._key = key
        self._throttle = throttle
        self._passwords = passwords

    def sign_in(
        self, email: str, password: str, code: str, now: datetime, client: Client
    ) -> NewSession:
        """Open a session. Raises WrongPassword and TooManyTries."""
        account = clean_email(email)
        person = self._checked(account, password, code, now, client.address)
        return self._accounts.open_session(person.id, now, client)

    def prove(self, person_id: str, password: str, code: str, cookie: str, now: datetime) -> None:
        """Make a session as fresh as a new one. Raises WrongPassword and TooManyTries."""
        person = self._own(person_id)
        self._checked(person.email or "", password, code, now, None)
        self._accounts.prove(cookie, now)

    def _checked(
        self, account: str, password: str, code: str, now: datetime, address: str | None
    ) -> Person:
        self._begin(account, address, now)
        person = self._ledger.by_email(account) if account else None
        hashed = person.password_hash if person is not None else None
        if not self._passwords.fits(password, hashed) or person is None:
            raise WrongPassword
        if person.totp_since is not None and not self._is_code(person, code, now):
            raise WrongPassword
        self._throttle.succeed(account, address)
        if hashed is not None and self._passwords.is_old(hashed):
            newer = self._passwords.hash(password)
            self._ledger.set_password(person.id, newer, but=None, is_new=False)
        return person

    def _begin(self, account: str, address: str | None, now: datetime) -> None:
        """Count a try. Raises TooManyTries."""
        if wait := self._throttle.begin(account, address, now):
            raise TooManyTries(retry_after=-(-wait // timedelta(seconds=1)))

    # --- invitations ---------------------------------------------------------------------------

    def invited(self, token: str, now: datetime) -> Person | None:
        """Return the person of an invitation or a reset that can still be used, or None."""
        link = self._open_link(token, now)
        return self._ledger.person(link.person_id) if link else None

    def accept(self, token: str, password: str, now: datetime, client: Client) -> NewSession | None:
        """Set the password of an invitation's person and sign them in; None for a used link.

        Raises Invalid for a password that cannot be one; the link can then be used again.
        """
        if self._open_link(token, now) is None:
            return None
        hashed = self._hash(password)
        person_id = self._ledger.set_password_by(hash_of(token), hashed, now)
        if person_id is None:
            return None
        return self._accounts.open_session(person_id, now, client)

    def _open_link(self, token: str, now: datetime) -> LoginLink | None:
        link = self._ledger.link(hash_of(token), now)
        return link if link is not None and link.sets_password else None

    # --- a person's own account ----------------------------------------------------------------

    def rename(self, person_id: str, name: str) -> None:
        """Set the name for screens; an empty one removes it. Raises Invalid."""
        if is_taken_name(name.strip()):
            raise Invalid.field("name", NOT_A_PERSONS)
        self._ledger.change_person(person_id, full_name=name.strip() or None)

    def prefer(self, person_id: str, *, look: str | None, time_zone: str | None) -> None:
        """Keep what was chosen for all browsers; None leaves it, an empty zone is each browser's.

        Raises Invalid.
        """
        if self._own(person_id).email is None:
            raise Invalid(OF_THE_MACHINE)
        if time_zone is not None and (wrong := zone_problem(time_zone)):
            raise Invalid.field("time_zone", wrong)
        chosen = {} if look is None else {"look": look}
        chosen |= {} if time_zone is None else {"time_zone": time_zone or None}
        self._ledger.change_person(person_id, **chosen)

    def change_password(
        self, person_id: str, old: str, new: str, cookie: str, now: datetime
    ) -> None:
        """Replace one's password, and end one's other sessions. Raises a Refusal."""
        person = self._own(person_id)
        if person.email is None:
            raise Invalid(OF_THE_MACHINE)
        if person.is_of_groups:
            raise Invalid(OF_GROUPS)
        if person.password_hash is not None:
            account = person.email or ""
            self._begin(account, None, now)
            if not self._passwords.fits(old, person.password_hash):
                raise Invalid.field("old_password", "This is not your password.")
            self._throttle.succeed(account, None)
        self._ledger.set_password(person_id, self._hash(new), but=hash_of(cookie))

    def has_password(self, person_id: str) -> bool:
        """Return True if a person can be asked for a password."""
        return self._own(person_id).password_hash is not None

    def begin_codes(self, person_id: str) -> NewCodes:
        """Make a secret for one-time codes; it counts once a code of it was shown."""
        person = self._own(person_id)
        secret = random_base32()
        self._ledger.begin_codes(person_id, self._key.sealer(secret))
        label = quote(f"{ISSUER}:{person.email or person.name}")
        return NewCodes(secret, f"otpauth://totp/{label}?secret={secret}&issuer={ISSUER}")

    def confirm_codes(self, person_id: str, code: str, now: datetime) -> list[str]:
        """Ask for codes from now on; return recovery codes, each good for one sign-in."""
        person = self._own(person_id)
        if not self._is_totp(person, code, now):
            raise Invalid.field("code", "This code does not fit: wait for the next one.")
        codes = [f"{secrets.token_hex(4)}-{secrets.token_hex(4)}" for _ in range(RECOVERY_CODES)]
        hashes = [hash_of(one) for one in codes]
        self._ledger.change_person(person_id, totp_since=now, recovery_hashes=hashes)
        return codes

    def remove_codes(self, person_id: str) -> None:
        """Ask for no codes any more."""
        self._ledger.change_person(
            person_id, totp_secret=None, totp_since=None, totp_step=None, recovery_hashes=[]
        )

    def _own(self, person_id: str) -> Person:
        person = self._ledger.person(person_id)
        if person is None:
            raise NotFound
        return person

    def _hash(self, password: str) -> str:
        if problem := password_problem(password):
            raise Invalid.field("password", problem)
        return self._passwords.hash(password)

    def _is_code(self, person: Person, code: str, now: datetime) -> bool:
        words = code.strip().replace(" ", "").lower()
        return self._is_totp(person, words, now) or self._ledger.use_recovery(
            person.id, hash_of(words)
        )

    def _is_totp(self, person: Person, code: str, now: datetime) -> bool:
        if person.totp_secret is None or not code.strip().isascii():
            return False
        codes = TOTP(self._key.unseal(person.totp_secret), interval=CODE_SECONDS)
        this = int(now.timestamp()) // CODE_SECONDS
        for step in range(this - WINDOW, this + WINDOW + 1):
            if hmac.compare_digest(codes.generate_otp(step), code.strip()):
                return self._ledger.use_code(person.id, step)
        return False
