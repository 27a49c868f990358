"""The sign-in endpoints: authorization with a loopback redirect and PKCE, tokens, devices, revocation."""

import base64
import hashlib
import html
import ipaddress
import secrets
import urllib.parse

from .errors import SignInRefused
from .grants import Code, Device
from .messages import Reply
from .settings import DRIVE

KNOWN = {"openid", "email", "profile", DRIVE} | {
    f"{DRIVE}.{name}" for name in ("file", "appdata", "appfolder", "readonly", "metadata", "metadata.readonly")}
CODE_SECONDS = 600
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def is_loopback(address):
    """What a client of the type "desktop" may be sent back to."""
    parts = urllib.parse.urlsplit(address)
    try:
        host = parts.hostname or ""
        return parts.scheme == "http" and not parts.fragment and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def challenge_of(verifier, method):
    if method == "plain":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class OAuth:
    def __init__(self, grants, settings, clock):
        self.grants, self.settings, self.clock = grants, settings, clock

    # In the browser

    def authorize(self, request):
        """The consent page; `emulator_answer=allow` or `deny` clicks on it."""
        query = request.query
        try:
            client = self.grants.client(query.get("client_id"))
        except SignInRefused as refused:
            return page("invalid_client", str(refused), 401)
        redirect = query.get("redirect_uri", "")
        if client["type"] != "desktop" or not is_loopback(redirect):
            return page("redirect_uri_mismatch", "The redirect URI in the request does not match the client's.", 400)
        scopes = query.get("scope", "").split()
        problem = self.problem(query, scopes)
        if problem:
            return page(*problem, 400)
        answer = query.get("emulator_answer") or {"ask": None}.get(self.settings.consent, self.settings.consent)
        if answer not in ("allow", "deny"):
            return consent_page(request, scopes)
        back = {"state": query["state"]} if "state" in query else {}
        if answer == "deny":
            return sent_back(redirect, back | {"error": "access_denied"})
        granted = query.get("emulator_scopes", query["scope"]).split()
        code = "4/0AEmu" + secrets.token_urlsafe(40)
        self.grants.codes[code] = Code(
            client["id"], granted, redirect, self.clock.now(), query.get("access_type") == "offline", query.get("code_challenge"),
            query.get("code_challenge_method", "plain"))
        return sent_back(redirect, back | {"iss": "https://accounts.google.com", "code": code, "scope": " ".join(granted)})

    def problem(self, query, scopes):
        if query.get("response_type") != "code":
            return "unsupported_response_type", "Only response_type=code is offered."
        if not scopes:
            return "invalid_request", "Missing required parameter: scope"
        if unknown := [one for one in scopes if one not in KNOWN]:
            return "invalid_scope", f"Some requested scopes were invalid: {unknown}"
        if query.get("code_challenge_method", "plain") not in ("plain", "S256"):
            return "invalid_request", "Transform algorithm not supported"
        if "code_challenge" in query and not 43 <= len(query["code_challenge"]) <= 128:
            return "invalid_request", "Code challenge must be a base64 encoded string of 43 to 128 characters"
        return None

    def device_page(self, request):
        """Where the person types the device's code: `?user_code=ABC-DEF&emulator_answer=allow`."""
        answer = request.query.get("emulator_answer")
        if answer in ("allow", "deny") and self.answer_device(request.query.get("user_code", ""), answer):
            return page("Done", "You may close this page.", 200)
        return page("Connect a device", "Enter the code that the device shows.", 200)

    def answer_device(self, user_code, answer):
        for device in self.grants.devices.values():
            if device.user_code == user_code and device.answer is None:
                device.answer = answer
                return True
        return False

    # Between programs

    def token(self, request):
        form = request.form()
        if request.method != "POST":
            raise SignInRefused(405, "invalid_request", "Only POST is offered.")
        client = self.checked_client(request, form)
        kind = form.get("grant_type")
        if kind == "authorization_code":
            return tokens(self.from_code(client, form))
        if kind == "refresh_token":
            if not form.get("refresh_token"):
                raise SignInRefused(400, "invalid_request", "Missing required parameter: refresh_token")
            grant = self.grants.of_refresh(form["refresh_token"], client["id"])
            if self.settings.rotateRefreshTokens:
                self.grants.rotate(grant)
            return tokens(self.grants.answer(grant, refresh_too=self.settings.rotateRefreshTokens))
        if kind == DEVICE_GRANT:
            return tokens(self.from_device(client, form))
        raise SignInRefused(400, "unsupported_grant_type", f"Invalid grant_type: {kind}")

    def checked_client(self, request, form):
        identifier, secret = form.get("client_id"), form.get("client_secret")
        scheme, _, basic = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                identifier, _, secret = base64.b64decode(basic).decode().partition(":")
            except ValueError:
                raise SignInRefused(401, "invalid_client", "Unauthorized") from None
            identifier, secret = urllib.parse.unquote(identifier), urllib.parse.unquote(secret)
        if not identifier:
            raise SignInRefused(400, "invalid_request", "Could not determine client ID from request.")
        client = self.grants.client(identifier)
        if not secret:
            raise SignInRefused(400, "invalid_request", "client_secret is missing.")
        if secret != client["secret"]:
            raise SignInRefused(401, "invalid_client", "The provided client secret is invalid.")
        return client

    def from_code(self, client, form):
        code = self.grants.codes.get(form.get("code", ""))
        if not code or code.client != client["id"]:
            raise SignInRefused(400, "invalid_grant", "Malformed auth code.")
        if code.used_by or code.since + CODE_SECONDS < self.clock.now():
            if code.used_by:
                self.grants.end(code.used_by)  # somebody else has it too (RFC 6749 section 4.1.2)
            raise SignInRefused(400, "invalid_grant", "Bad Request")
        if form.get("redirect_uri") != code.redirect:
            raise SignInRefused(400, "redirect_uri_mismatch", "Bad Request")
        if code.challenge is not None:
            if not form.get("code_verifier"):
                raise SignInRefused(400, "invalid_grant", "Missing code verifier.")
            if challenge_of(form["code_verifier"], code.method) != code.challenge:
                raise SignInRefused(400, "invalid_grant", "Invalid code verifier.")
        code.used_by = self.grants.sign_in(client["id"], code.scopes)
        return self.grants.answer(code.used_by, refresh_too=code.offline)

    def device_code(self, request):
        form = request.form()
        client = self.grants.client(form.get("client_id"))
        if client["type"] != "tv":
            raise SignInRefused(
                401, "invalid_client", "Only clients of type 'TVs and Limited Input devices' can use the OAuth 2.0 flow for TV and "
                "Limited-Input Device Applications.")
        scopes = form.get("scope", "").split()
        for scope in scopes or [""]:
            if scope not in self.settings.deviceScopes:
                raise SignInRefused(400, "invalid_scope", f"Invalid device flow scope: {scope}")
        code = "AH-1Ng" + secrets.token_urlsafe(40)
        letters = "".join(secrets.choice("BCDFGHJKLMNPQRSTVWXZ") for _ in range(8))
        device = Device(
            client["id"], scopes, f"{letters[:4]}-{letters[4:]}", self.clock.now(), self.settings.deviceIntervalSeconds)
        self.grants.devices[code] = device
        return Reply.of_json({
            "device_code": code, "user_code": device.user_code, "expires_in": int(self.settings.deviceSeconds),
            "interval": int(device.interval), "verification_url": f"{request.base}/device"})

    def from_device(self, client, form):
        device = self.grants.devices.get(form.get("device_code", ""))
        if not device or device.client != client["id"] or device.used:
            raise SignInRefused(400, "invalid_grant", "Malformed device code.")
        now = self.clock.now()
        if device.since + self.settings.deviceSeconds < now:
            raise SignInRefused(400, "expired_token", "The device code has expired.")
        before, device.polled = device.polled, now
        if before is not None and now - before < device.interval:
            raise SignInRefused(403, "slow_down", "Forbidden")
        if device.answer is None:
            raise SignInRefused(428, "authorization_pending", "Precondition Required")
        if device.answer == "deny":
            raise SignInRefused(403, "access_denied", "Forbidden")
        device.used = True
        return self.grants.answer(self.grants.sign_in(client["id"], device.scopes), refresh_too=True)

    def revoke(self, request):
        token = request.form().get("token") or request.query.get("token")
        if not token:
            raise SignInRefused(400, "invalid_request", "Missing required parameter: token")
        self.grants.revoke(token)
        return Reply.of_json({})

    def token_info(self, request):
        token = request.query.get("access_token", "")
        grant = self.grants.of_access(token)
        if not grant:
            raise SignInRefused(400, "invalid_token", "Invalid Value")
        left = self.grants.access[token][1] - self.clock.now()
        return Reply.of_json({"aud": grant.client, "azp": grant.client, "scope": " ".join(grant.scopes), "expires_in": str(int(left))})


def tokens(answer):
    return Reply.of_json(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def sent_back(redirect, query):
    joint = "&" if urllib.parse.urlsplit(redirect).query else "?"
    return Reply(302, headers={"Location": redirect + joint + urllib.parse.urlencode(query)})


def page(title, text, status):
    return Reply.of_page(f"<!doctype html><title>{html.escape(title)}</title><h1>{html.escape(title)}</h1><p>{html.escape(text)}", status)


def consent_page(request, scopes):
    asked = request.path + "?" + urllib.parse.urlencode(request.query)
    links = "".join(
        f'<p><a id="{answer}" href="{html.escape(asked)}&amp;emulator_answer={answer}">{answer}</a>' for answer in ("allow", "deny"))
    wanted = "".join(f"<li>{html.escape(scope)}" for scope in scopes)
    return Reply.of_page(f"<!doctype html><title>Sign in</title><h1>This program asks for</h1><ul>{wanted}</ul>{links}")
