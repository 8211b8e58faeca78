#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""replay.py VETO JSON [--quick]: what reading a recording of 10,000 candidates of 300 tokens takes, and each policy after it, beside
the time that Python's json module takes to read the same lines."""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

SCORES = ["self_certainty", "entropy", "logp", "top1_logp", "topk_confidence", "margin"]
POLICIES = ["floor:score=margin,window=16,threshold=2", "gate:rungs=64+128,keep=0.5", "window-floor:window=64,warmup=2,keep=0.9",
            "speculative:budget=1024", "adaptive-consistency:threshold=0.95"]
CANDIDATES, TOKENS = 8, 300
READING_S, READING_MIB, POLICY_S = 60, 2048, 5  # to reach, with 10,000 candidates


def write(path, questions):
    """A made recording: what is measured does not depend on what the scores mean."""
    dice = random.Random(1)
    with open(path, "w") as out:
        print(json.dumps({"trace": 1, "candidates": CANDIDATES, "cohort": CANDIDATES, "max_tokens": TOKENS, "policy": "none"}), file=out)
        for question in range(questions):
            for candidate in range(CANDIDATES):
                right = dice.random() < 0.6
                values = [round(dice.uniform(0, 6), 7) for _ in range(TOKENS)]
                lists = {name: [-x for x in values] if "logp" in name else values for name in SCORES}
                steps = [[t, right or t < 150] for t in range(24, TOKENS, 25)]
                print(json.dumps({"prompt": f"q{question}", "candidate": candidate, "finished": True, "answer": "1" if right else str(2 + candidate),
                                  "correct": right, "tokens": list(range(TOKENS)), "steps": steps} | lists), file=out)


def took(words):
    """Seconds, and MiB at most."""
    start = time.monotonic()
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"replay: {' '.join(words)}: exit status {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def python_reads(path):
    start = time.monotonic()
    with open(path) as lines:
        for line in lines:
            json.loads(line)
    return time.monotonic() - start


def main(veto, results, is_quick):
    repeats = 1 if is_quick else 3
    questions = 50 if is_quick else 1250
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "trace.jsonl")
        write(trace, questions)
        timed = {name: [] for name in ["python", "reading", *POLICIES]}
        peak = 0
        for _ in range(repeats):
            timed["python"].append(python_reads(trace))
            for name in ["reading", *POLICIES]:
                seconds, mebibytes = took([veto, "evaluate", *([] if name == "reading" else ["--policy", name]), "--json", trace])
                timed[name].append(seconds)
                peak = max(peak, mebibytes)
        size = os.path.getsize(trace) / 1e6
    reading = statistics.median(timed["reading"])

    def verdict(target, is_met):
        """Targets are for the whole."""
        return "" if is_quick else f"(target: {target}) {'met' if is_met else 'MISSED'}"

    print(f"{questions * CANDIDATES} candidates of {TOKENS} tokens, {size:.0f} MB: read and played without a policy in {reading:.2f} s, "
          f"{reading / statistics.median(timed['python']):.2f} of what Python's json takes to read them; {peak:.0f} MiB at most "
          f"{verdict(f'{READING_S} s, {READING_MIB} MiB', reading <= READING_S and peak <= READING_MIB)}")
    with open(results, "a") as out:
        for name in POLICIES:
            more = statistics.median(a - b for a, b in zip(timed[name], timed["reading"]))
            print(f"  {name:<45} {more:6.2f} s more {verdict(f'{POLICY_S} s', more <= POLICY_S)}")
            print(json.dumps({"bench": "replay", "policy": name, "seconds": round(more, 3), "reading_seconds": round(reading, 3), "peak_mib": round(peak)}),
                  file=out)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], "--quick" in sys.argv[3:])
