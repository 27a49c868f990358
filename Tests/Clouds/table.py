"""The table of `Docs/Stores.md`: what each server was put through, and how it did."""

BEGIN, END = "<!-- clouds: begin -->", "<!-- clouds: end -->"
GROUPS = range(1, 19)


def row(trial):
    marks = [trial.marks.get(number, "–") for number in GROUPS]
    cells = [trial.name, trial.running.note, *marks, "✓" if trial.is_restored else "✗", f"{trial.seconds:.0f}"]
    return "| " + " | ".join(cells) + " |"


def header():
    cells = ["server", "version", *map(str, GROUPS), "corpus", "s"]
    return ["| " + " | ".join(cells) + " |", "|" + "---|" * len(cells)]


def rows_of(text):
    """Name to row, of a table that is there."""
    rows = {}
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| server |"):
            rows[line.split("|")[1].strip()] = line
    return rows


def write_table(page, trials):
    """Rows of servers that were not tried stay as they are."""
    text = page.read_text()
    before, rest = text.split(BEGIN, 1)
    old, after = rest.split(END, 1)
    rows = rows_of(old) | {trial.name: row(trial) for trial in trials}
    page.write_text(before + BEGIN + "\n" + "\n".join(header() + list(rows.values())) + "\n" + END + after)
