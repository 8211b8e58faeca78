#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A head of one or two layers in fp32 on one thread: head_peers.py COLS ROWS ROWS2 (0: one layer).

Prints nanoseconds a state in numpy and in torch, 0 where one is not installed.
"""

import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
SECONDS = 0.3


def clock(work):
    work()
    start, passes = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        work()
        passes += 1
    return (time.perf_counter() - start) / passes * 1e9


def main():
    cols, rows, rows2 = map(int, sys.argv[1:4])
    ns = [0.0, 0.0]
    try:
        import numpy
    except ImportError:
        print(*ns)
        return
    dice = numpy.random.default_rng(1)
    weights = [dice.standard_normal((rows, cols), dtype=numpy.float32)]
    if rows2:
        weights.append(dice.standard_normal((rows2, rows), dtype=numpy.float32))
    state = dice.standard_normal(cols, dtype=numpy.float32)

    def with_numpy():
        x = weights[0] @ state
        return weights[1] @ numpy.maximum(x, 0) if rows2 else x

    ns[0] = clock(with_numpy)
    try:
        import torch
    except ImportError:
        print(*ns)
        return
    torch.set_num_threads(1)
    tensors, x = [torch.from_numpy(w) for w in weights], torch.from_numpy(state)

    def with_torch():
        y = torch.mv(tensors[0], x)
        return torch.mv(tensors[1], torch.relu(y)) if rows2 else y

    ns[1] = clock(with_torch)
    print(*ns)


if __name__ == "__main__":
    main()
