"""Sign-in: loopback with PKCE, refresh, revocation, devices."""

import unittest
import urllib.parse

from .client import DESKTOP, OTHER, TV, EmulatorTest
from .oauth import DEVICE_GRANT, challenge_of
from .settings import DRIVE

VERIFIER = "v" * 43
REDIRECT = "http://127.0.0.1:4711/back"


class Loopback(EmulatorTest):
    def ask(self, **changes):
        query = {
            "client_id": DESKTOP["client_id"], "redirect_uri": REDIRECT, "response_type": "code", "scope": f"{DRIVE}.file",
            "state": "s t&=", "code_challenge": challenge_of(VERIFIER, "S256"), "code_challenge_method": "S256",
            "access_type": "offline", "emulator_answer": "allow"} | changes
        return self.me.call("GET", "/o/oauth2/v2/auth", query={name: value for name, value in query.items() if value is not None})

    def back(self, answer):
        address, _, query = answer.headers["Location"].partition("?")
        self.assertEqual((answer.status, address), (302, REDIRECT))
        return dict(urllib.parse.parse_qsl(query))

    def exchange(self, brought, **changes):
        values = {"grant_type": "authorization_code", "code": brought, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        values |= DESKTOP | changes
        return self.me.form("/token", **{name: value for name, value in values.items() if value is not None})

    def error(self, answer, status, name):
        self.assertEqual((answer.status, answer.json["error"]), (status, name))

    def test_a_code_is_changed_into_tokens_once(self):
        back = self.back(self.ask())
        self.assertEqual(back["state"], "s t&=")
        tokens = self.exchange(back["code"]).json
        self.assertEqual((tokens["token_type"], tokens["expires_in"], tokens["scope"]), ("Bearer", 3599, f"{DRIVE}.file"))
        self.me.token = tokens["access_token"]
        self.assertEqual(self.me.list().status, 200)
        self.error(self.exchange(back["code"]), 400, "invalid_grant")
        self.refused(self.me.list(), 401, "authError")  # twice the same code: somebody listened

    def test_the_page_asks_until_somebody_clicks(self):
        page = self.ask(emulator_answer=None)
        self.assertEqual(page.status, 200)
        self.assertIn("emulator_answer=allow", page.body.decode())
        self.assertEqual(self.back(self.ask(emulator_answer="deny")), {"error": "access_denied", "state": "s t&="})
        self.me.control("settings", {"consent": "allow"})
        self.assertIn("code", self.back(self.ask(emulator_answer=None)))

    def test_a_person_who_grants_less(self):
        back = self.back(self.ask(scope=f"openid {DRIVE}.file", emulator_scopes="openid"))
        self.me.token = self.exchange(back["code"]).json["access_token"]
        self.refused(self.me.list(), 403, "insufficientScopes")

    def test_what_the_page_refuses(self):
        for changes, status in [({"redirect_uri": "https://example.org/"}, 400), ({"redirect_uri": "http://10.0.0.1/"}, 400),
                                ({"client_id": "nobody"}, 401), ({"scope": "all"}, 400), ({"response_type": "token"}, 400),
                                ({"code_challenge": "short"}, 400), ({"code_challenge_method": "S512"}, 400),
                                ({"client_id": TV["client_id"]}, 400)]:
            self.assertEqual(self.ask(**changes).status, status, changes)
        for redirect in ("http://localhost:1/", "http://[::1]:9/x"):
            self.assertEqual(self.ask(redirect_uri=redirect).status, 302)

    def test_the_verifier_the_address_and_the_secret_are_checked(self):
        for changes, status, name in [
                ({"code_verifier": "w" * 43}, 400, "invalid_grant"), ({"code_verifier": None}, 400, "invalid_grant"),
                ({"redirect_uri": "http://127.0.0.1:1/"}, 400, "redirect_uri_mismatch"), ({"client_secret": "no"}, 401, "invalid_client"),
                ({"client_secret": None}, 400, "invalid_request"), ({"grant_type": "password"}, 400, "unsupported_grant_type"),
                ({"code": "4/0nothing"}, 400, "invalid_grant")]:
            self.error(self.exchange(self.back(self.ask())["code"], **changes), status, name)

    def test_a_code_is_good_for_ten_minutes(self):
        back = self.back(self.ask())
        self.me.control("clock", {"advance": 601})
        self.error(self.exchange(back["code"]), 400, "invalid_grant")

    def test_no_refresh_token_without_offline_access(self):
        self.assertNotIn("refresh_token", self.exchange(self.back(self.ask(access_type=None))["code"]).json)

    def test_refresh_expiry_and_rotation(self):
        refresh = self.exchange(self.back(self.ask())["code"]).json["refresh_token"]
        again = {"grant_type": "refresh_token", "refresh_token": refresh} | DESKTOP
        self.me.token = self.me.form("/token", **again).json["access_token"]
        self.me.control("clock", {"advance": 3600})
        self.refused(self.me.list(), 401, "authError")
        self.assertNotIn("refresh_token", self.me.form("/token", **again).json)
        self.me.control("settings", {"rotateRefreshTokens": True})
        fresh = self.me.form("/token", **again).json["refresh_token"]
        self.error(self.me.form("/token", **again), 400, "invalid_grant")
        self.me.control("settings", {"rotateRefreshTokens": False, "refreshTokenSeconds": 7 * 86400})
        self.assertEqual(self.me.form("/token", **again | {"refresh_token": fresh}).status, 200)
        self.me.control("clock", {"advance": 8 * 86400})
        self.error(self.me.form("/token", **again | {"refresh_token": fresh}), 400, "invalid_grant")

    def test_revocation(self):
        tokens, others = self.me.control("token", {}), self.me.control("token", {"client": OTHER})
        mine = self.me.control("token", {})
        self.assertEqual(self.me.form("/revoke", token=tokens["access_token"]).status, 200)
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        self.error(self.me.form("/token", **refresh, **DESKTOP), 400, "invalid_grant")
        self.error(self.me.form("/revoke", token=tokens["access_token"]), 400, "invalid_token")
        self.me.token = mine["access_token"]
        self.assertEqual(self.me.list().status, 200)
        self.me.control("settings", {"revokeAll": True})
        last = self.me.control("token", {})
        self.me.form("/revoke", token=last["refresh_token"])
        self.refused(self.me.list(), 401, "authError")
        self.me.token = others["access_token"]
        self.assertEqual(self.me.list().status, 200)

    def test_a_hundred_sign_ins_of_one_client(self):
        first = self.me.control("token", {"client": OTHER})
        for _ in range(100):
            self.me.control("token", {"client": OTHER})
        self.me.token = first["access_token"]
        self.refused(self.me.list(), 401, "authError")


class Devices(EmulatorTest):
    def begin(self, scope=f"{DRIVE}.file", client=TV):
        return self.me.form("/device/code", client_id=client["client_id"], scope=scope)

    def poll(self, begun):
        return self.me.form("/token", grant_type=DEVICE_GRANT, device_code=begun["device_code"], **TV)

    def error(self, answer, status, name):
        self.assertEqual((answer.status, answer.json["error"]), (status, name))

    def test_waiting_too_fast_and_allowed(self):
        begun = self.begin().json
        self.assertEqual((begun["interval"], begun["expires_in"]), (5, 1800))
        self.error(self.poll(begun), 428, "authorization_pending")
        self.error(self.poll(begun), 403, "slow_down")
        self.me.control("clock", {"advance": 5})
        self.me.call("GET", "/device", query={"user_code": begun["user_code"], "emulator_answer": "allow"})
        self.me.token = self.poll(begun).json["access_token"]
        self.assertEqual(self.me.list().status, 200)
        self.error(self.poll(begun), 400, "invalid_grant")

    def test_denied_and_expired(self):
        begun = self.begin().json
        self.me.control("device", {"answer": "deny"})
        self.error(self.poll(begun), 403, "access_denied")
        begun = self.begin().json
        self.me.control("clock", {"advance": 1801})
        self.error(self.poll(begun), 400, "expired_token")

    def test_clients_and_scopes_that_devices_may_not_have(self):
        self.error(self.begin(client=DESKTOP), 401, "invalid_client")
        self.error(self.begin(f"{DRIVE}.appdata"), 400, "invalid_scope")
        self.me.control("settings", {"deviceScopes": [f"{DRIVE}.appdata"]})
        self.assertEqual(self.begin(f"{DRIVE}.appdata").status, 200)


if __name__ == "__main__":
    unittest.main()
