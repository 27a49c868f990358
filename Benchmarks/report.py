"""The table of a benchmark run, in Markdown."""

BEGIN, END = "<!-- bench-backup: begin -->", "<!-- bench-backup: end -->"

# Heading, step, field, decimals. Peak memory is that of the largest process of a step.
COLUMNS = (
    ("fresh, CPU s", "fresh", "cpu", 1),
    ("fresh, wall s", "fresh", "wall", 1),
    ("day 2, new MB", "day2", "stored", 1),
    ("day 2, CPU s", "day2", "cpu", 1),
    ("no change, CPU s", "unchanged", "cpu", 2),
    ("after `VACUUM`, new MB", "vacuumed", "stored", 1),
    ("restore, CPU s", "restore", "cpu", 1),
    ("full verify, CPU s", "verify", "cpu", 1),
    ("database alone, CPU s", "one", "cpu", 2),
    ("peak memory, MB", None, "peak", 0),
    ("repository, MB", "fresh", "stored", 1),
)
LEADER = "Coffer"


def value(numbers, step, field):
    if step is None:
        return max((measured[field] for measured in numbers.values()), default=None)
    return numbers.get(step, {}).get(field)


def table(results, facts):
    lines = [header(facts), "", "| | " + " | ".join(column[0] for column in COLUMNS) + " |",
             "|---" * (len(COLUMNS) + 1) + "|"]
    for name, numbers in results.items():
        cells = [cell(value(numbers, step, field), places) for _, step, field, places in COLUMNS]
        lines.append(f"| {name} {facts['versions'][name]} | " + " | ".join(cells) + " |")
    peers = {name: numbers for name, numbers in results.items() if name != LEADER and "unchanged" in numbers}
    if LEADER in results and peers:
        lines += ["", "Coffer as a share of each (below 1 is less than the peer's):", "",
                  "| | " + " | ".join(column[0].rsplit(",", 1)[0] for column in COLUMNS) + " |",
                  "|---" * (len(COLUMNS) + 1) + "|"]
        for name, numbers in peers.items():
            cells = []
            for _, step, field, _ in COLUMNS:
                own, other = value(results[LEADER], step, field), value(numbers, step, field)
                cells.append(f"{own / other:.2f}" if own is not None and other else "–")
            lines.append(f"| of {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def header(facts):
    rounds = words(facts["rounds"])
    if "beside" in facts:
        rounds += f" for Coffer and, before it, {words(facts['beside'])} for the others"
    return (f"{facts['corpus']:,.0f} MB in {facts['files']:,} files; {rounds}, warm cache, a folder as store, "
            f"{facts['cores']} cores of {facts['processor']}, {facts['system']}.")


def words(rounds):
    return "1 round" if rounds == 1 else f"medians of {rounds} rounds"


def cell(number, places):
    return "–" if number is None else f"{number:,.{places}f}"


def write(page, text, begin=BEGIN, end=END):
    """Puts the table between the marks of a page."""
    content = page.read_text()
    head, rest = content.split(begin)
    _, tail = rest.split(end)
    page.write_text(f"{head}{begin}\n{text}\n{end}{tail}")
