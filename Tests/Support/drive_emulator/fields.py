"""The language of `fields`: which parts of an answer a client wants."""

import re

from .errors import Refused

WORD = re.compile(r"[A-Za-z0-9_*]+")


def refused(text):
    return Refused(400, "invalidParameter", f"Invalid field selection {text}", location="fields")


def read(text):
    """A tree of names; an empty tree takes everything below."""
    tree, rest = group(text.replace(" ", ""), text)
    if rest:
        raise refused(text)
    return tree


def group(text, whole):
    tree = {}
    while True:
        path, text = one(text, whole)
        merge(tree, path)
        if not text.startswith(","):
            return tree, text
        text = text[1:]


def one(text, whole):
    """`a`, `a/b`, `a(b,c)`"""
    match = WORD.match(text)
    if not match:
        raise refused(whole)
    name, text = match.group(), text[match.end():]
    if text.startswith("/"):
        inner, text = one(text[1:], whole)
        return {name: inner}, text
    if text.startswith("("):
        inner, text = group(text[1:], whole)
        if not text.startswith(")"):
            raise refused(whole)
        return {name: inner}, text[1:]
    return {name: {}}, text


def merge(tree, more):
    for name, inner in more.items():
        if name in tree and (not tree[name] or not inner):
            tree[name] = {}
        elif name in tree:
            merge(tree[name], inner)
        else:
            tree[name] = dict(inner)


def check(tree, known, whole):
    """Names that no answer has are errors, so that a slip is noticed."""
    for name in tree:
        if name != "*" and name not in known:
            raise refused(f"{name}" if whole is None else name)


def select(value, tree):
    if not tree or "*" in tree and not tree["*"]:
        return value
    if isinstance(value, list):
        return [select(one, tree) for one in value]
    if not isinstance(value, dict):
        return value
    if "*" in tree:
        return {name: select(inner, tree["*"] | tree.get(name, {})) for name, inner in value.items()}
    return {name: select(value[name], inner) for name, inner in tree.items() if name in value}
