"""Sign-ins: each web token is good for one request, whose answer brings the next one."""

import base64
import html
import secrets
import urllib.parse
from dataclasses import dataclass

from drive_emulator.messages import Reply

from .errors import Refused


@dataclass
class SignIn:
    user: str
    # "Keep me signed in".
    kept: bool = False


class SignIns:
    def __init__(self, settings, clock):
        self.settings, self.clock = settings, clock
        self.tokens = {}  # token: (the sign-in, its end)

    def fresh(self, sign_in):
        """A token has letters that an address must escape."""
        token = "158__54__" + base64.b64encode(b"\xfb\xff\xfe" + secrets.token_bytes(46)).decode()
        life = self.settings.keptSeconds if sign_in.kept else self.settings.webTokenSeconds
        self.tokens[token] = (sign_in, self.clock.now() + life)
        return token

    def take(self, request):
        """The sign-in of a request; its token is over. Who has none, or one that is over, is shown where to get one."""
        if request.query.get("ckAPIToken") != self.settings.apiToken:
            raise Refused("AUTHENTICATION_FAILED", "no auth method found")
        token = request.query.get("ckWebAuthToken")
        sign_in, end = self.tokens.pop(token, (None, 0)) if self.settings.singleUse else self.tokens.get(token, (None, 0))
        if not sign_in or end < self.clock.now():
            page = f"{request.base}/signin?" + urllib.parse.urlencode({"container": self.settings.container})
            raise Refused("AUTHENTICATION_REQUIRED", "request needs authorization", redirectURL=page)
        return sign_in

    def page(self, request):
        """Apple's page for the password; `emulator_answer=allow` types it, `keep=1` ticks the box, `user=` is somebody else."""
        if request.query.get("emulator_answer") != "allow":
            links = html.escape(f"{request.path}?{urllib.parse.urlencode(request.query)}&emulator_answer=allow")
            return Reply.of_page(f'<!doctype html><title>Sign in</title><h1>Apple Account</h1><a id="allow" href="{links}">Sign in</a>')
        token = self.fresh(SignIn(request.query.get("user", "ada"), request.query.get("keep") == "1"))
        if self.settings.callback:
            joint = "&" if "?" in self.settings.callback else "?"
            return Reply(302, headers={"Location": self.settings.callback + joint + urllib.parse.urlencode({"ckWebAuthToken": token})})
        return Reply.of_page(f'<!doctype html><title>Signed in</title><script>opener.postMessage({{ckWebAuthToken: "{token}"}})</script>')
