#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same reductions in numpy and torch on one thread: started by bench_score, which sends "PEER COLS" lines.

Usage: peers.py FILE, of fp32 logits.  First answers with a line of the peers that are installed, with versions; then each line with
the seconds that the rows took, their number, and the log-sum-exp of the first.
"""

import sys
import time

SECONDS = 0.4  # of work for each answer


def load_peers(path):
    """The peers that can be imported, by name: a function of a row; their versions; the logits."""
    peers, versions = {}, []
    try:
        import numpy
    except ImportError:
        return peers, versions, None
    logits = numpy.fromfile(path, dtype=numpy.float32)

    def with_numpy(row):
        best = row.max()
        e = numpy.exp(row - best)
        total = e.sum()
        return best + numpy.log(total), e.dot(row) / total, row.mean(), best

    peers["numpy"] = with_numpy
    versions.append("numpy " + numpy.__version__)
    try:
        import torch
    except ImportError:
        return peers, versions, logits
    torch.set_num_threads(1)

    def with_torch(row):
        row = torch.from_numpy(row)
        lse = torch.logsumexp(row, 0)
        return lse, torch.dot(torch.exp(row - lse), row), row.mean(), row.max()

    peers["torch"] = with_torch
    versions.append("torch " + torch.__version__)
    return peers, versions, logits


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    peers, versions, logits = load_peers(sys.argv[1])
    print(", ".join(versions), flush=True)
    at = 0
    for line in sys.stdin:
        name, cols = line.split()
        cols = int(cols)
        rows = logits[: len(logits) // cols * cols].reshape(-1, cols)
        reduce = peers[name]
        lse = float(reduce(rows[0])[0])
        done = 0
        start = time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            reduce(rows[at % len(rows)])
            at += 1
            done += 1
        print(time.perf_counter() - start, done, lse, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
