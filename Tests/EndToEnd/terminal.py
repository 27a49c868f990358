"""Documents' blocks of commands, typed at a terminal as they stand there."""

import re
import typing

import pexpect


class Block(typing.NamedTuple):
    """A fenced block: what stands behind its fence, under which heading, and what is in it."""

    info: str
    heading: str
    text: str


def blocks(document):
    heading = ""
    for found in re.finditer(r"^#+ (.*)$|^```(.*)\n((?:.*\n)*?)```$", document, flags=re.M):
        if found[1] is not None:
            heading = found[1]
        else:
            yield Block(found[2], heading, found[3])


def typed(arguments, answers, begin="", **options):
    """Runs a command at a terminal; returns its exit status and what a person saw.

    `answers` are pairs of a prompt and what is typed at it, however often it comes; `begin` is typed before any prompt,
    and ends the input.
    """
    terminal = pexpect.spawn(
        arguments[0], arguments[1:], encoding="utf-8", timeout=60, dimensions=(24, 200), **options)
    terminal.delayafterclose = terminal.ptyproc.delayafterclose = 0
    if begin:
        terminal.sendline(begin)
        terminal.sendeof()
    seen = ""
    while (prompt := terminal.expect([prompt for prompt, _ in answers] + [pexpect.EOF])) < len(answers):
        seen += terminal.before + terminal.after.rstrip()
        terminal.sendline(answers[prompt][1])
    seen += terminal.before
    terminal.wait()
    terminal.close()
    # Progress writes on one line again and again, and takes it back: what a person still sees is what counts.
    lines = [line.rstrip("\r").split("\x1b[K")[-1].strip() for line in seen.split("\n")]
    return terminal.exitstatus, "\n".join(line for line in lines if line)
