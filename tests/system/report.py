#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables of a report, worked out anew: report.py TRACE SPLIT REPORT < lines of `veto evaluate --json`.

The bound on partial scores is found from the trace; the other cells are the numbers of the lines.  Says what differs.
"""

import html.parser
import json
import math
import re
import sys

sys.dont_write_bytecode = True
import evaluate  # noqa: E402


class Tables(html.parser.HTMLParser):
    """Rows of cells by the tables' ids."""

    def __init__(self):
        super().__init__()
        self.tables, self.open, self.is_cell = {}, None, False

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.open = self.tables.setdefault(dict(attrs)["id"], [])
        elif tag == "tr":
            self.open.append([])
        elif tag in ("td", "th"):
            self.open[-1].append("")
            self.is_cell = True

    def handle_endtag(self, tag):
        self.is_cell &= tag not in ("td", "th")

    def handle_data(self, data):
        if self.is_cell:
            self.open[-1][-1] += data


def number(cell):
    return float(cell.split()[0].rstrip(",").replace("\u2212", "-"))


def score(candidate, name, tokens):
    values = candidate[{"token_logp": "logp"}.get(name, name)][:tokens]
    return (-1 if name == "entropy" else 1) * sum(values) / len(values)


def groups(questions, rung):
    for question in questions:
        members = [c for c in question if len(c["tokens"]) >= rung]
        if len(members) > 1:
            yield members


def bound(fit, name, rung):
    pairs, gaps = [], []
    for members in groups(fit, rung):
        finals = [score(c, name, None) for c in members]
        pairs += [(score(c, name, rung), final, len(c["tokens"])) for c, final in zip(members, finals)]
        best, second = sorted(finals, reverse=True)[:2]
        gaps.append((best - second, len(members)))
    n, count = len(pairs), len(gaps)
    means = [sum(p[i] for p in pairs) / n for i in range(3)]
    offset = means[0] - means[1]
    sigma = math.sqrt(sum((a - b - offset) ** 2 for a, b, _ in pairs) / (n - 1))
    gap = sum(g for g, _ in gaps) / count
    covariance = sum((a - means[0]) * (b - means[1]) for a, b, _ in pairs)
    spreads = [math.sqrt(sum((p[i] - means[i]) ** 2 for p in pairs)) for i in (0, 1)]
    return {"n": n / count, "gap": gap, "sigma": sigma, "bound": (n / count - 1) * math.exp(-gap ** 2 / (4 * sigma ** 2)),
            "bound, by question": sum(min(1, (k - 1) * math.exp(-g ** 2 / (4 * sigma ** 2))) for g, k in gaps) / count,
            "correlation": covariance / (spreads[0] * spreads[1]), "expected": math.sqrt(rung / means[2])}


def best_rejected(questions, policy, name, rung):
    """Of the candidates that have as many tokens, the one with the best final score, by this rule at this rung."""
    for question in questions:
        for c in question:
            c["end"] = None
        kind, values = evaluate.rule(policy)
        {"gate": evaluate.gate, "floor": floor_with_rungs}[kind](question, values)
    ends = [max(members, key=lambda c: score(c, name, None))["end"] for members in groups(questions, rung)]
    return f"{ends.count(rung)} of {len(ends)}"


def floor_with_rungs(question, values):
    rungs, thresholds = (values[k].split("+") for k in ("rungs", "threshold"))
    for c in question[int(values["min_survivors"]):]:
        c["end"] = next((int(t) for t, low in zip(rungs, thresholds) if len(c["tokens"]) > int(t) and score(c, values["score"], int(t)) < float(low)), None)


def rows(table):
    return [dict(zip(table[0], row)) for row in table[1:]]


def check_lines(tables, lines):
    """Cells of the tables that have a row for each line, or for each with the first selector."""
    each, firsts = lines, [x for x in lines if x["select"] == lines[0]["select"]]
    for table, of, column, key, unit in (
            ("results", each, "tokens a question", None, 1), ("results", each, "longest chain, tokens", "latency_tokens", 1),
            ("results", each, "tokens saved", "saved", 100), ("results", each, "accuracy", "accuracy", 100),
            ("results", each, "accuracy, difference", "accuracy_difference", 100), ("risks", each, "risk of candidates", "risk_candidate", 100),
            ("risks", each, "risk, pooled", "risk_pooled", 100), ("risks", each, "risk of answers", "risk_answer", 100),
            ("baselines", firsts, "length cap", "saved_cap", 100), ("baselines", firsts, "random rejection", "saved_random", 100),
            ("baselines", firsts, "oracle", "saved_oracle", 100), ("differences", firsts[2:], "tokens, difference", "tokens_difference", 100),
            ("differences", firsts[2:], "accuracy, difference", "answers_difference", 100)):
        seen = rows(tables[table])
        if len(seen) != len(of):
            yield f"{table}: {len(seen)} rows, expected {len(of)}"
        for row, line in zip(seen, of):
            expected = unit * line[key] if key else line["tokens_used"] / line["questions"]
            if abs(number(row[column]) - expected) > 0.0501:
                yield f"{table}: {column} of {line['policy']} is {row[column]}, expected {expected}"
    scores = {x["score"]: x for x in reversed(lines) if x["score"]}
    for row in rows(tables["scores"]):
        for column, key in ("Brier", "brier"), ("ECE", "ece"):
            if abs(number(row[column]) - scores[row["score"]][key]) > 1e-4:
                yield f"{row['score']}: {column} is {row[column]}, expected {scores[row['score']][key]}"
    if len(scores) != len(tables["scores"]) - 1:
        yield f"{len(tables['scores']) - 1} scores, expected {list(scores)}"


def check_bins(tables, lines):
    """Counts, and Wilson's intervals from them."""
    totals = {}
    for row in rows(tables["bins"]):
        n, share, z2 = int(row["candidates"]), number(row["right"]) / 100, 1.959964 ** 2
        low, high = (float(x) / 100 for x in row["right"].split("(")[1].rstrip(")").split("\u2013"))
        k = round(share * n)
        middle, half = (k / n + z2 / (2 * n)) / (1 + z2 / n), math.sqrt(z2 * (k / n * (1 - k / n) / n + z2 / (4 * n * n))) / (1 + z2 / n)
        if abs(low - middle + half) > 6e-4 or abs(high - middle - half) > 6e-4 or abs(k - share * n) > 6e-4 * n:
            yield f"bin {row}: expected {middle - half} to {middle + half}"
        start, end = (float(x) for x in row["bin"].split("\u2013"))
        if not start - 0.06 <= number(row["predicted, mean"]) <= end + 0.06:
            yield f"bin {row}: its mean lies outside"
        totals[row["score"]] = totals.get(row["score"], 0) + n
    if set(totals) != {x["score"] for x in lines if x["score"]} or set(totals.values()) != {lines[0]["candidates"]}:
        yield f"candidates of bins: {totals}"


def check_curves(page, questions, policy):
    """That the candidates whose scores are drawn ended as the titles say, by the first policy."""
    for question in questions:
        for c in question:
            c["end"] = None
        evaluate.gate(question, evaluate.rule(policy)[1])
    played = {(c["prompt"], c["candidate"]): c for q in questions for c in q}
    figure = page.split('id="curves"')[1].split("</figure>")[0]
    titles = re.findall(r'aria-label="(Right|Wrong), (kept|rejected after (\d+) of (\d+) tokens)"', figure)
    names = re.findall(r">tokens of candidate (\d+) of ([^<]+)<", figure)
    if len(titles) != len(names) or len(titles) < 2 or len(set(titles)) != len(titles):
        yield f"curves: {titles} of {names}"
    first = min((c["end"] for c in played.values() if c["end"] and not c["correct"]), default=None)
    for (is_right, what, end, tokens), (index, prompt) in zip(titles, names):
        c = played[prompt, int(index)]
        if c["correct"] != (is_right == "Right") or c["end"] != (int(end) if end else None) or (tokens and len(c["tokens"]) != int(tokens)):
            yield f"candidate {index} of {prompt}: {is_right}, {what}, and it ends at {c['end']}"
        if is_right == "Wrong" and end and int(end) != first:
            yield f"wrong ones are rejected from {first} on, not {end}"


def check_bounds(tables, policies, fit, questions):
    seen = rows(tables["bound"])
    expected_rungs = [("P1", 16), ("P1", 40), ("P2", 24), ("P2", 56), ("P3", 72), ("P4", 8), ("P4", 24)]
    if [(row["policy"], int(row["rung"])) for row in seen] != expected_rungs:
        yield f"rungs are {[(row['policy'], row['rung']) for row in seen]}"
    if questions is fit and not any(row["policy"] == "P4" and not row["best rejected"].startswith("0 ") for row in seen):
        yield "P4 rejects no best candidate: that column says nothing"
    for row in seen:
        for column, expected in bound(fit, row["score"], int(row["rung"])).items():
            if row["policy"] == "P2" and column.startswith("bound"):
                if column == "bound" and row[column] != "not of a floor":
                    yield f"the bound of a floor: {row[column]}"
            elif abs(number(row[column]) - expected) > (0.05 if column == "n" else 5e-3 * abs(expected) + 1e-9):
                yield f"{row['policy']} at {row['rung']}: {column} is {row[column]}, expected {expected}"
        if row["policy"] != "P3" and row["best rejected"] != (expected := best_rejected(
                questions, policies[int(row["policy"][1:])], row["score"], int(row["rung"]))):
            yield f"{row['policy']} at {row['rung']}: best rejected is {row['best rejected']}, expected {expected}"


def main():
    with open(sys.argv[1]) as trace:
        next(trace)
        candidates = [json.loads(line) for line in trace]
    with open(sys.argv[2]) as file:
        split = json.load(file)
    lines, parser = [json.loads(line) for line in sys.stdin], Tables()
    with open(sys.argv[3]) as file:
        page = file.read()
    parser.feed(page)
    part = "fit" if lines[0]["questions"] == sum(p == "fit" for p in split.values()) else "test"
    fit, test = [[[c for c in candidates if c["prompt"] == q] for q in split if split[q] == p] for p in ("fit", "test")]
    played = fit if part == "fit" else test
    policies = list(dict.fromkeys(x["policy"] for x in lines))
    wrong = [*check_lines(parser.tables, lines), *check_bins(parser.tables, lines), *check_bounds(parser.tables, policies, fit, played),
             *check_curves(page, played, policies[1])]
    sys.exit("\n".join(wrong) or None)


if __name__ == "__main__":
    main()
