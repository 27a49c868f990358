"""Answers that are errors, in the form that Google's servers give them."""

import json


class Refused(Exception):
    """An error answer of Drive: its code, the `reason` that a client decides by, and where the mistake is."""

    def __init__(self, code, reason, message, domain="global", location=None, location_type="parameter", **more):
        super().__init__(message)
        self.code, self.reason, self.message, self.domain = code, reason, message, domain
        self.location, self.location_type = location, location_type
        self.status, self.headers = more.get("status"), more.get("headers", {})
        self.detail = more.get("detail", message)

    def body(self):
        first = {"message": self.detail, "domain": self.domain, "reason": self.reason}
        if self.location:
            first |= {"location": self.location, "locationType": self.location_type}
        error = {"code": self.code, "message": self.message, "errors": [first]}
        if self.status:
            error["status"] = self.status
        return json.dumps({"error": error}, indent=1).encode()


class SignInRefused(Exception):
    """An error answer of the sign-in endpoints (RFC 6749 section 5.2)."""

    def __init__(self, code, error, description=None):
        super().__init__(description or error)
        self.code, self.headers = code, {}
        self.answer = {"error": error} | ({"error_description": description} if description else {})

    def body(self):
        return json.dumps(self.answer, indent=1).encode()


USAGE_LIMITS = {
    "rateLimitExceeded": "Rate Limit Exceeded",
    "userRateLimitExceeded": "User Rate Limit Exceeded",
    "sharingRateLimitExceeded": "Rate limit exceeded. User message: \"Sorry, you have exceeded your sharing quota.\"",
    "dailyLimitExceeded": "Daily Limit Exceeded",
    "quotaExceeded": "The user has exceeded their quota.",
    "accessNotConfigured": "Google Drive API has not been used in project 111111111111 before or it is disabled.",
}
GLOBAL = {
    "storageQuotaExceeded": "The user's Drive storage quota has been exceeded.",
    "numChildrenInNonRootLimitExceeded": "The limit for this folder's number of children (files and folders) has been exceeded.",
    "activeItemCreationLimitExceeded": "This account has exceeded the creation limit of items.",
    "teamDriveFileLimitExceeded": "The file limit for this shared drive has been exceeded.",
    "insufficientPermissions": "Insufficient Permission",
    "insufficientFilePermissions": "The user does not have sufficient permissions for this file.",
    "appNotAuthorizedToFile": "The user has not granted the app access to the file.",
    "domainPolicy": "The domain administrators have disabled Drive apps.",
    "cannotDownloadAbusiveFile": "This file has been identified as malware or spam and cannot be downloaded.",
    "internalError": "Internal Error",
    "backendError": "Backend Error",
    "badRequest": "Bad Request",
    "authError": "Invalid Credentials",
}
BY_CODE = {401: "authError", 403: "userRateLimitExceeded", 429: "rateLimitExceeded", 500: "internalError"}


def of_reason(code, reason=None, message=None, headers=None):
    """The error that Drive gives for a reason; `None` takes the usual one of the code."""
    reason = reason or BY_CODE.get(code, "backendError" if code >= 500 else "badRequest")
    if reason == "authError":
        return invalid_credentials(headers)
    message = message or USAGE_LIMITS.get(reason) or GLOBAL.get(reason) or reason
    return Refused(code, reason, message, domain="usageLimits" if reason in USAGE_LIMITS else "global", headers=headers or {})


def invalid_credentials(headers=None):
    return Refused(
        401, "authError", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
        "other valid authentication credential.", detail="Invalid Credentials", location="Authorization",
        location_type="header", status="UNAUTHENTICATED",
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/", error="invalid_token"'} | (headers or {}))


def login_required():
    return Refused(
        401, "required", "Request is missing required authentication credential.", detail="Login Required.",
        location="Authorization", location_type="header", status="UNAUTHENTICATED",
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'})


def scopes_lacking():
    return Refused(
        403, "insufficientPermissions", "Request had insufficient authentication scopes.", detail="Insufficient Permission",
        status="PERMISSION_DENIED", headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'})


def not_found(identifier):
    return Refused(404, "notFound", f"File not found: {identifier}.", location="fileId")


def invalid_value(parameter, message="Invalid Value"):
    return Refused(400, "invalid", message, location=parameter)


def bad_request(message="Bad Request"):
    return Refused(400, "badRequest", message)
