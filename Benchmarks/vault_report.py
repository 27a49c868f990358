"""The table of a vault's benchmark, in Markdown."""

import report

BEGIN, END = "<!-- bench-vault: begin -->", "<!-- bench-vault: end -->"
PARTS = ("evaluate", "open", "seal", "token")


def sum_of_parts(parts):
    return sum(parts[name] for name in PARTS)


def pair(numbers, value):
    """The median in the vault, and the fastest quarter of what was measured without it."""
    return f"{value(numbers['own']):.0f}, {value(numbers['parts']):.0f}"


def between(pair):
    return " to ".join(f"{value:.2f}" for value in pair)


ROWS = (
    ("**processor for each evaluation**, of the sum of its parts in the vault", "≤ 1.35", lambda n: n["of-own"], 2),
    ("… of all rounds", None, lambda n: between(n["of-own-range"]), None),
    ("µs, fastest quarter of the rounds", None, lambda n: n["processor"], 0),
    ("… of the parts by themselves, fastest quarter too", None, lambda n: n["of-parts"], 2),
    ("µs, median of all rounds", None, lambda n: n["processor-median"], 0),
    ("… of the parts by themselves before and after", None, lambda n: n["of-parts-median"], 2),
    ("parts, µs: in the vault (median), by themselves (fastest quarter)", None, lambda n: pair(n, sum_of_parts), None),
    ("– VOPRF with proof", None, lambda n: pair(n, lambda parts: parts["evaluate"]), None),
    ("– HPKE open", None, lambda n: pair(n, lambda parts: parts["open"]), None),
    ("– HPKE seal (the reply)", None, lambda n: pair(n, lambda parts: parts["seal"]), None),
    ("– token check (EdDSA)", None, lambda n: pair(n, lambda parts: parts["token"]), None),
    ("beside them: commit and anchor, for each of 32, µs", None, lambda n: n["parts"]["commit"], 0),
    ("**evaluations per second, saturated**", None, lambda n: n["perSecond"], 0),
    ("**at half of that**: p50, ms", None, lambda n: n["half"]["p50"], 2),
    ("p99, ms", "< 25", lambda n: n["half"]["p99"], 2),
    ("p99 of the worst run, ms", None, lambda n: n["half-p99-most"], 2),
    ("slowest of a run, ms", None, lambda n: n["half"]["slowest"], 1),
    ("processor for each evaluation, µs", None, lambda n: n["half"]["processor"], 0),
    ("`fdatasync` alone on that disk: p50, ms", None, lambda n: n["parts"]["fdatasyncMedian"], 2),
    ("p99, ms", None, lambda n: n["parts"]["fdatasyncP99"], 2),
    ("**start, s**, its files not in the cache", "< 20", lambda n: n["start-cold"], 2),
    ("its files in the cache", "< 20", lambda n: n["start"], 2),
    ("the same on one core", None, lambda n: n["start-alone"], 2),
    ("**memory** after the start, MiB", "< 1,280", lambda n: n["started"]["VmRSS"] / 2**20, 0),
    ("at most until then, MiB", "< 1,280", lambda n: n["started"]["VmHWM"] / 2**20, 0),
    ("at most until the end, MiB", "< 1,280", lambda n: n["served"]["VmHWM"] / 2**20, 0),
    ("**disk**, bytes for each account", None, lambda n: n["bytes"], 0),
)


def table(results, facts):
    lines = [header(facts), "", "| | must be | " + " | ".join(f"{n['accounts']:,} accounts" for n in results) + " |",
             "|---" * (len(results) + 2) + "|"]
    for name, limit, value, places in ROWS:
        cells = [value(numbers) if places is None else report.cell(value(numbers), places) for numbers in results]
        lines.append(f"| {name} | {limit or ''} | " + " | ".join(cells) + " |")
    lines += ["", *flatness(results), *(f"Skipped: {text}." for text in facts["skipped"])]
    return "\n".join(lines).rstrip()


def flatness(results):
    if len(results) < 2:
        return []

    def compared(value):
        return ", ".join(f"{value(numbers) / value(results[0]):.2f} at {numbers['accounts']:,}" for numbers in results[1:])

    return [f"Processor for each evaluation against that at {results[0]['accounts']:,} accounts (0.85 to 1.15): "
            f"{compared(lambda n: n['of-parts'])}, measured by the parts by themselves, which know of no accounts; in µs, while the machine "
            f"was faster and slower, {compared(lambda n: n['processor'])}."]


def header(facts):
    before, after = facts["load"]
    return (f"{facts['cores']} cores of {facts['processor']}, {facts['system']}; vault on one core, client on the other; load "
            f"average before {before:.1f}, after {after:.1f}. {facts['requests']:,} evaluations at saturation over 64 connections, in "
            f"{facts['rounds']} rounds, then {facts['half']:g} s at half of that rate in five runs, of which the median counts; of "
            f"{facts['asked']:,} accounts. SQLite with "
            f"`synchronous=FULL`, file anchor.")


def write(page, text):
    """Puts the table between the marks of a page."""
    content = page.read_text()
    head, rest = content.split(BEGIN)
    _, tail = rest.split(END)
    page.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}")
