"""Faults on demand: rules that say which requests fail, when, and how.

A rule is a JSON object. Which requests: `operation` (as `drive.files.create`, `upload.chunk`, `oauth.token`; `*` and `?` stand
for anything), `method`, `path`, `query` (a part of it); `skip` lets that many go first, `times` is how often (null: for ever),
`probability` with `seed` leaves it to dice. What happens, in any combination:

  status, reason, message, headers   this answer; `phase` "before" (nothing was done, the default) or "after" (all was done)
  retryAfter   seconds, in the body of CloudKit's errors
  stall        seconds of the emulator's clock before the answer, or before anything with `phase` "before"
  cut          the answer ends after that many bytes of its body, though its length says more
  lost         everything is done and the line is closed without an answer
  closed       the line is closed before anything is done
  cutRequest   that many bytes of the request's body are taken, and then the line is closed, or `status` answers
  corrupt      one byte of the answer's body is another one
  duplicate    what was made is made twice, under another identifier
  incompleteSearch   every second file of a list is left out, and the list says that it is not whole
  forgetful    the same, and the list does not say so
  emptyPage    a page of a list is empty and names the next one
"""

import fnmatch
import random

from .messages import Reply

WHICH = {"operation", "method", "path", "query", "skip", "times", "probability", "seed"}
WHAT = {"status", "reason", "message", "headers", "phase", "stall", "cut", "lost", "closed", "cutRequest", "corrupt", "duplicate",
        "incompleteSearch", "forgetful", "emptyPage", "retryAfter"}


class Rule:
    def __init__(self, values):
        if unknown := set(values) - WHICH - WHAT:
            raise KeyError(", ".join(sorted(unknown)))
        self.values = values
        self.skip, self.left = values.get("skip", 0), values.get("times", 1)
        self.hits = 0
        self.dice = random.Random(values.get("seed", 1))

    def get(self, name, default=None):
        return self.values.get(name, default)

    @property
    def before(self):
        return self.get("phase", "before") == "before"

    def is_for(self, operation, method, path, query):
        values = self.values
        return (self.left is None or self.left > 0) and fnmatch.fnmatchcase(operation, values.get("operation", "*")) \
            and values.get("method", method) == method and fnmatch.fnmatchcase(path, values.get("path", "*")) \
            and values.get("query", "") in query

    def takes(self):
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.dice.random() >= self.values.get("probability", 1):
            return False
        self.left = None if self.left is None else self.left - 1
        self.hits += 1
        return True

    def shown(self):
        return self.values | {"left": self.left, "hits": self.hits}


class Faults:
    def __init__(self):
        self.rules = []

    def add(self, values):
        self.rules += [Rule(one) for one in (values if isinstance(values, list) else [values])]

    def take(self, operation, method, path, query):
        """The rule that this request falls under, if there is one."""
        for rule in self.rules:
            if rule.is_for(operation, method, path, query) and rule.takes():
                return rule
        return None

    @property
    def hits(self):
        return sum(rule.hits for rule in self.rules)


def corrupted(rule, reply):
    """The answer with the byte in its middle changed, if the rule wants that."""
    if rule.get("corrupt") and reply.body:
        middle = len(reply.body) // 2
        reply = Reply(reply.status, reply.body[:middle] + bytes([reply.body[middle] ^ 1]) + reply.body[middle + 1:], reply.headers)
    return reply
