#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What policies do with recorded candidates, worked out anew: evaluate.py TRACE < lines of `veto evaluate --json`.

Plays floors and gates with the defaults of `veto policies`, and the majority of answers; says what differs.
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


def played(questions, policy):
    sums = dict.fromkeys(COUNTS + SHARES, 0)
    answerable = 0
    for question in questions:
        for c in question:
            c["end"] = None
        full = majority(question)
        if policy != "none":
            name, values = rule(policy)
            {"floor": floor, "gate": gate}[name](question, values)
        lengths = [len(c["tokens"]) if c["end"] is None else c["end"] for c in question]
        right = [c for c in question if c["correct"] and c["finished"]]
        lost = sum(c["end"] is not None for c in right)
        is_right = majority(question)
        answerable += len(right) > 0
        sums["risk_candidate"] += lost / len(right) if right else 0
        for key, value in zip(COUNTS, (sum(len(c["tokens"]) for c in question), sum(lengths), len(right), lost, 1, len(question))):
            sums[key] += value
        for key, value in ("latency_tokens", max(lengths)), ("accuracy_full", full), ("accuracy", is_right), ("risk_answer", full and not is_right):
            sums[key] += value / len(questions)
    sums["risk_candidate"] /= answerable or 1
    sums["risk_pooled"] = sums["right_rejected"] / (sums["right"] or 1)
    sums["saved"] = 1 - sums["tokens_used"] / sums["tokens_full"]
    return sums


def main():
    with open(sys.argv[1]) as trace:
        next(trace)
        candidates = [json.loads(line) for line in trace]
    questions = [[c for c in candidates if c["prompt"] == p] for p in dict.fromkeys(c["prompt"] for c in candidates)]
    wrong, lines = [], [json.loads(line) for line in sys.stdin]
    for line in lines:
        expected = played(questions, line["policy"])
        wrong += [f"{line['policy']}: {k} is {line[k]}, expected {expected[k]}" for k in COUNTS if line[k] != expected[k]]
        wrong += [f"{line['policy']}: {k} is {line[k]}, expected {expected[k]}" for k in SHARES if abs(line[k] - expected[k]) > 1e-3]
        wrong += [f"{line['policy']}: {k} lies outside its interval" for k in SHARES
                  if f"{k}_low" in line and not line[f"{k}_low"] <= line[k] <= line[f"{k}_high"]]
    sys.exit("\n".join(wrong) or (None if lines else "nothing was played"))


if __name__ == "__main__":
    main()
