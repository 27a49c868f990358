"""Answers that are errors, as CloudKit Web Services gives them (its reference, "Error Codes")."""

import uuid

from drive_emulator.messages import Reply

STATUS = {
    "ACCESS_DENIED": 403, "ATOMIC_ERROR": 400, "AUTHENTICATION_FAILED": 401, "AUTHENTICATION_REQUIRED": 421, "BAD_REQUEST": 400,
    "CONFLICT": 409, "EXISTS": 409, "INTERNAL_ERROR": 500, "NOT_FOUND": 404, "QUOTA_EXCEEDED": 413, "THROTTLED": 429,
    "TRY_AGAIN_LATER": 503, "VALIDATING_REFERENCE_ERROR": 412, "ZONE_NOT_FOUND": 404,
}
BY_STATUS = {401: "AUTHENTICATION_FAILED", 403: "ACCESS_DENIED", 429: "THROTTLED", 500: "INTERNAL_ERROR", 503: "TRY_AGAIN_LATER"}


class Refused(Exception):
    """`more` goes into the answer: `retryAfter` (seconds), `redirectURL`, `serverRecord`."""

    def __init__(self, code, reason, **more):
        super().__init__(reason)
        self.code, self.reason, self.more = code, reason, more

    def answer(self):
        return {"uuid": str(uuid.uuid4()), "serverErrorCode": self.code, "reason": self.reason} | self.more

    def reply(self, status=None):
        return Reply.of_json(self.answer(), status or STATUS.get(self.code, 400))


def bad_request(reason):
    return Refused("BAD_REQUEST", reason)
