"""Who signed in with which client to what: clients, codes, refresh tokens, access tokens."""

import secrets
from dataclasses import asdict, dataclass

from .errors import SignInRefused

PER_CLIENT_MAX = 100


@dataclass
class Grant:
    """One sign-in. Its refresh token is its key."""

    refresh: str
    client: str
    scopes: list
    since: float

    @property
    def project(self):
        return self.client.split("-")[0]


@dataclass
class Code:
    """What the browser brings back; good once, for ten minutes."""

    client: str
    scopes: list
    redirect: str
    since: float
    offline: bool
    challenge: str | None
    method: str
    used_by: Grant | None = None


@dataclass
class Device:
    """One device that waits for a person elsewhere to type its code."""

    client: str
    scopes: list
    user_code: str
    since: float
    interval: float
    polled: float | None = None
    answer: str | None = None
    used: bool = False


class Grants:
    def __init__(self, settings, clock, journal):
        self.settings, self.clock, self.journal = settings, clock, journal
        self.grants = {key: Grant(**values) for key, values in journal.of("grant").items()}
        self.access = {}  # token: (the grant, its end)
        self.codes, self.devices = {}, {}

    def client(self, identifier):
        for one in self.settings.clients:
            if one["id"] == identifier:
                return one
        raise SignInRefused(401, "invalid_client", "The OAuth client was not found.")

    def sign_in(self, client, scopes):
        grant = Grant("1//0e" + secrets.token_urlsafe(48), client, list(scopes), self.clock.now())
        same = [one for one in self.grants.values() if one.client == client]
        for old in same[:max(0, len(same) + 1 - PER_CLIENT_MAX)]:
            self.end(old)
        self.keep(grant)
        return grant

    def keep(self, grant):
        self.grants[grant.refresh] = grant
        self.journal.put("grant", grant.refresh, asdict(grant))

    def end(self, grant):
        self.grants.pop(grant.refresh, None)
        self.journal.put("grant", grant.refresh, None)
        self.access = {token: held for token, held in self.access.items() if held[0] is not grant}

    def answer(self, grant, refresh_too):
        """A fresh access token, as the token endpoint gives it."""
        token = "ya29.a0Emu" + secrets.token_urlsafe(60)
        self.access[token] = (grant, self.clock.now() + self.settings.accessTokenSeconds)
        answer = {"access_token": token, "expires_in": int(self.settings.accessTokenSeconds), "scope": " ".join(grant.scopes),
                  "token_type": "Bearer"}
        if refresh_too:
            answer["refresh_token"] = grant.refresh
            if self.settings.refreshTokenSeconds is not None:
                answer["refresh_token_expires_in"] = int(self.settings.refreshTokenSeconds)
        return answer

    def of_refresh(self, token, client):
        grant = self.grants.get(token)
        life = self.settings.refreshTokenSeconds
        if not grant or (life is not None and grant.since + life < self.clock.now()):
            raise SignInRefused(400, "invalid_grant", "Token has been expired or revoked.")
        if grant.client != client:
            raise SignInRefused(401, "unauthorized_client", "Unauthorized")
        return grant

    def rotate(self, grant):
        """The refresh token that takes the place of this one, which ends."""
        self.end(grant)
        grant.refresh = "1//0e" + secrets.token_urlsafe(48)
        self.keep(grant)

    def of_access(self, token):
        """The grant of an access token that is good now, or `None`."""
        grant, end = self.access.get(token, (None, 0))
        return grant if grant and end > self.clock.now() else None

    def revoke(self, token):
        grant = self.grants.get(token) or self.access.get(token, (None,))[0]
        if not grant:
            raise SignInRefused(400, "invalid_token", "Token expired or revoked")
        for one in [one for one in self.grants.values() if self.settings.revokeAll and one.project == grant.project] or [grant]:
            self.end(one)

    def expire_access(self):
        self.access = {}

    def end_project(self, project=None):
        """The person takes the app's rights back, in the account's settings."""
        for grant in [one for one in self.grants.values() if project in (None, one.project)]:
            self.end(grant)
