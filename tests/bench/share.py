#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""share.py VETO MODEL JSON [--quick]: which share of `veto run` is spent in scoring and deciding, over several seeds."""

import json
import statistics
import subprocess
import sys

PROMPT = "Tell me about the history of the city of Rome."
BAR = 0.015


def run(veto, model, seed):
    """The summary of one run of eight candidates that nothing stops."""
    command = [veto, "run", "-m", model, "-p", PROMPT, "-n", "8", "--max-tokens", "96", "--seed", str(seed), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["summary"]


def main():
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    veto, model, path = sys.argv[1:4]
    sums = [run(veto, model, seed) for seed in range(3 if "--quick" in sys.argv else 7)]
    shares = [s["scoring_share"] for s in sums]
    speeds = [s["tokens"] / s["wall_s"] for s in sums]
    median, low, high = statistics.median(shares), min(shares), max(shares)
    print(f"8 candidates, {len(sums)} runs: scoring and deciding take {100 * median:.2f} % ({100 * low:.2f}..{100 * high:.2f}; "
          f"target: at most {100 * BAR} %) {'met' if median <= BAR else 'MISSED'}; "
          f"{statistics.median(speeds):.0f} tokens/s")
    with open(path, "a") as out:
        print(json.dumps({"bench": "run", "runs": len(sums), "scoring_share": {"median": median, "low": low, "high": high},
                          "bar": BAR, "is_met": median <= BAR, "tokens_a_second": statistics.median(speeds)}), file=out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
