#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What policies do with recorded candidates, worked out anew: evaluate.py TRACE [SPLIT PART] < lines of `veto evaluate --json`.

Plays floors and gates with the defaults of `veto policies`, and the majority of answers, beside a length cap, random
rejection and an oracle; with a split, fits the chance that a candidate is right to its score.  Says what differs.
"""

import json
import math
import sys

COUNTS = "tokens_full", "tokens_used", "right", "right_rejected", "questions", "candidates"
SHARES = "saved", "latency_tokens", "accuracy_full", "accuracy", "risk_candidate", "risk_pooled", "risk_answer"
LISTS = {"token_logp": "logp"}


def q20(values):
    return [round(x * 2 ** 20) for x in values]


def rule(text):
    name, _, rest = text.partition(":")
    return name, dict(pair.split("=") for pair in rest.split(","))


def scores(candidate, values):
    sign = -1 if values["score"] == "entropy" else 1
    return [sign * x for x in q20(candidate[LISTS.get(values["score"], values["score"])])]


def floor(question, values):
    """The token after which each candidate is rejected, or None.  One that has finished is not any more."""
    window, threshold = int(values["window"]), float(values["threshold"]) * 2 ** 20
    for candidate in question[int(values["min_survivors"]):]:
        s = scores(candidate, values)
        candidate["end"] = next((t for t in range(window, len(s)) if sum(s[t - window:t]) < threshold * window), None)


def gate(question, values):
    for rung in map(int, values["rungs"].split("+")):
        ranked = [(-sum(scores(c, values)[:rung]), i) for i, c in enumerate(question)
                  if len(c["tokens"]) >= rung and (c["end"] is None or c["end"] > rung)]
        keep = max(math.ceil(len(ranked) * float(values["keep"])), int(values["min_survivors"]) - sum(
            len(c["tokens"]) < rung and c["answer"] not in (None, "") for c in question))
        for _, i in sorted(ranked)[keep:]:
            if len(question[i]["tokens"]) > rung:
                question[i]["end"] = rung


def majority(question):
    """Whether the answer of most of those that finished is right; ties go to the lowest index."""
    voters = [c for c in question if c["end"] is None and c["finished"] and c["answer"] not in (None, "")]
    if not voters:
        return False
    votes = [c["answer"] for c in voters]
    best = max(votes, key=lambda a: (votes.count(a), -votes.index(a)))
    return any(c["correct"] for c in question if c["answer"] == best and c["finished"])


def is_right(candidate):
    return candidate["correct"] and candidate["finished"]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0


def candidate_risk(questions, rejected):
    """Of a question's right candidates the share that is rejected, mean over the questions that have one."""
    shares = [[rejected(c) for c in q if is_right(c)] for q in questions]
    return mean(mean(share) for share in shares if share)


def saved_by_cap(questions, risk):
    """By the shortest cap whose risk is at most that, and on the way to the next shorter one."""
    everyone = [c for q in questions for c in q]
    full = sum(len(c["tokens"]) for c in everyone)
    points = [(candidate_risk(questions, lambda c: len(c["tokens"]) > cap), 1 - sum(min(cap, len(c["tokens"])) for c in everyone) / full)
              for cap in range(max(len(c["tokens"]) for c in everyone), 0, -1)]
    last = max(i for i, (r, _) in enumerate(points) if r <= risk)
    (r0, s0), (r1, s1) = points[last], points[min(last + 1, len(points) - 1)]
    return s0 + (s1 - s0) * (risk - r0) / (r1 - r0) if risk > r0 and r1 > r0 else s0


def saved_by_chance(questions, risk):
    """At the hazard with that risk, by bisection; token t is written if none of the t - 1 before was the last."""
    low, high = 0, 1
    for _ in range(60):
        h = (low + high) / 2
        if candidate_risk(questions, lambda c: 1 - (1 - h) ** (len(c["tokens"]) - 1)) <= risk:
            low = h
        else:
            high = h
    lengths = [len(c["tokens"]) for q in questions for c in q]
    return 1 - sum((1 - low) ** t for n in lengths for t in range(n)) / sum(lengths)


def saved_by_oracle(questions):
    def cost(c):
        if is_right(c):
            return len(c["tokens"])
        return next((at + 1 for at, right in sorted(c["steps"]) if not right), len(c["tokens"])) if "steps" in c else 1
    return 1 - sum(cost(c) for q in questions for c in q) / sum(len(c["tokens"]) for q in questions for c in q)


def reliability(fit, questions, values):
    """Brier score and ECE of a logistic curve, whose likelihood is climbed one coordinate at a time."""
    def sample(part):
        return [(sum(scores(c, values)) / len(c["tokens"]) / 2 ** 20, is_right(c)) for q in part for c in q]

    def climb(a, b, x, y):
        for _ in range(4000):
            for direction in (1, 0), (0, 1):
                p = [1 / (1 + math.exp(-(a + b * v))) for v in x]
                u = [direction[0] + direction[1] * v for v in x]
                d = sum((t - q) * w for t, q, w in zip(y, p, u)) / sum(q * (1 - q) * w * w for q, w in zip(p, u))
                a, b = a + d * direction[0], b + d * direction[1]
        return a, b

    known = sample(fit)
    middle = mean(x for x, _ in known)
    a, b = climb(0, 0, [x - middle for x, _ in known], [y for _, y in known])
    predicted = [(1 / (1 + math.exp(-(a + b * (x - middle)))), y) for x, y in sample(questions)]
    bins = [[(p, y) for p, y in predicted if min(int(10 * p), 9) == i] for i in range(10)]
    return mean((p - y) ** 2 for p, y in predicted), sum(abs(sum(p - y for p, y in b)) for b in bins) / len(predicted)


def played(questions, policy):
    sums = dict.fromkeys(COUNTS + SHARES, 0)
    answerable, unfinished = 0, (0, 0)
    for question in questions:
        for c in question:
            c["end"] = None
        full = majority(question)
        if policy != "none":
            name, values = rule(policy)
            {"floor": floor, "gate": gate}[name](question, values)
        lengths = [len(c["tokens"]) if c["end"] is None else c["end"] for c in question]
        right = [c for c in question if is_right(c)]
        never = [(len(c["tokens"]), length) for c, length in zip(question, lengths) if not c["finished"]]
        unfinished = [sum(x) for x in zip(unfinished, *never)]
        lost = sum(c["end"] is not None for c in right)
        answered = majority(question)
        answerable += len(right) > 0
        sums["risk_candidate"] += lost / len(right) if right else 0
        for key, value in zip(COUNTS, (sum(len(c["tokens"]) for c in question), sum(lengths), len(right), lost, 1, len(question))):
            sums[key] += value
        for key, value in ("latency_tokens", max(lengths)), ("accuracy_full", full), ("accuracy", answered), ("risk_answer", full and not answered):
            sums[key] += value / len(questions)
    sums["risk_candidate"] /= answerable or 1
    sums["risk_pooled"] = sums["right_rejected"] / (sums["right"] or 1)
    sums["saved"] = 1 - sums["tokens_used"] / sums["tokens_full"]
    sums["accuracy_difference"] = sums["accuracy"] - sums["accuracy_full"]
    sums["unfinished_saved"] = 1 - unfinished[1] / unfinished[0] if unfinished[0] else None
    sums["saved_cap"] = saved_by_cap(questions, sums["risk_candidate"])
    sums["saved_random"] = saved_by_chance(questions, sums["risk_candidate"])
    sums["saved_oracle"] = saved_by_oracle(questions)
    return sums


def far(seen, expected, by):
    return (seen is None) != (expected is None) or (seen is not None and abs(seen - expected) > by)


def main():
    with open(sys.argv[1]) as trace:
        next(trace)
        candidates = [json.loads(line) for line in trace]
    names = list(dict.fromkeys(c["prompt"] for c in candidates))
    parts = dict.fromkeys(names, "test")
    if len(sys.argv) > 2:
        with open(sys.argv[2]) as split:
            parts = json.load(split)
    part = sys.argv[3] if len(sys.argv) > 3 else "test"
    fit, questions = [[[c for c in candidates if c["prompt"] == n] for n in names if parts.get(n) == p] for p in ("fit", part)]
    wrong, lines = [], [json.loads(line) for line in sys.stdin]
    first = None
    for line in lines:
        expected = played(questions, line["policy"])
        name, values = rule(line["policy"]) if line["policy"] != "none" else ("none", {})
        expected["brier"], expected["ece"] = reliability(fit, questions, values) if values and fit else (None, None)
        if first is None and values:
            first = expected
            wrong += [f"{k} of the first policy is {line[k]}, paired with itself" for k in line if k.startswith(("tokens_difference", "answers_difference")) and line[k] != 0]
        if first:
            expected["tokens_difference"] = (expected["tokens_used"] - first["tokens_used"]) / expected["tokens_full"]
            expected["answers_difference"] = expected["accuracy"] - first["accuracy"]
        wrong += [f"{line['policy']}: {k} is {line[k]}, expected {expected[k]}" for k in COUNTS if line[k] != expected[k]]
        wrong += [f"{line['policy']}: {k} is {line[k]}, expected {x}" for k, x in expected.items()
                  if k not in COUNTS and far(line[k], x, 2e-3 if k == "saved_random" else 1e-5 if k in ("brier", "ece") else 1e-3)]
        wrong += [f"{line['policy']}: {k} lies outside its interval" for k in line
                  if line.get(f"{k}_low") is not None and not line[f"{k}_low"] <= line[k] <= line[f"{k}_high"]]
    sys.exit("\n".join(wrong) or (None if lines else "nothing was played"))


if __name__ == "__main__":
    main()
