#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden cases of TS1: heads that count on token scores, candidates' scores and states, and their rewards.

The arithmetic follows hls/arithmetic.md in big integers and shares nothing with the C sources, so that the two check each
other.  Of each case: NAME.head; NAME.scores, a line a token: whether it ends a step, the flags of its row, and its scores in
Q20, "-" for none and LOW:HIGH for an interval; NAME.npy with its states, if the head reads any; NAME.rewards: z and the reward
of the steps so far, or "-".
golden_statistics.py [FOLDER] writes the cases (default: golden-statistics/ beside this file); golden_statistics.py --check
[FOLDER] compares them.
"""

import copy
import dataclasses
import struct
import sys

from golden import main, npy_file, text, truncated, widen
from golden_cases import Random, encode
from golden_hidden import (CODES, R, Steps, between, dense, flat, head_file, integer_row, integers, limit, metadata,
                           quantise, sat32)
from golden_hidden_cases import floats

SCORES = ("self_certainty", "entropy", "token_logp", "top1_logp", "topk_confidence", "margin")
NEGATED = "entropy"
NAN, SATURATED, EMPTY = 2, 4, 1
ALL = [f"{kind}:{score}" for score in SCORES for kind in ("mean", "min", "step-mean", "step-min")] + [
    "tokens", "step-tokens", "steps"]


@dataclasses.dataclass
class Token:
    ends: bool
    flags: int
    scores: dict  # name: (low, high)


@dataclasses.dataclass
class Case:
    statistics: list
    weights: tuple  # integers, mant, sh, bias
    tokens: list
    layers: list = dataclasses.field(default_factory=list)
    states: list = dataclasses.field(default_factory=list)
    aggregation: str = "last"
    output: str = "sigmoid"


# --- The arithmetic ---

def usable(token, score):
    """v, or None."""
    if token.flags & (NAN | SATURATED) or score not in token.scores:
        return None
    low, high = token.scores[score]
    if low != high:
        return None
    return limit(-low if score == NEGATED else low, 1 << 26)


def statistic(name, tokens):
    """x_k of these tokens, or None."""
    start = max([i + 1 for i, token in enumerate(tokens[:-1]) if token.ends], default=0)
    counts = {"tokens": len(tokens), "step-tokens": len(tokens) - start,
              "steps": 1 + sum(token.ends for token in tokens[:-1])}
    if name in counts:
        return limit(R(counts[name], -10), (1 << 22) - 1)
    kind, score = name.split(":")
    values = [usable(token, score) for token in (tokens[start:] if kind.startswith("step") else tokens)]
    values = [v for v in values if v is not None]
    if not values:
        return None
    value = min(values) if kind.endswith("min") else truncated(sum(values), len(values))
    return limit(R(value, 4), (1 << 22) - 1)


def output(case, t):
    """z at token t, or None."""
    x = [statistic(name, case.tokens[:t + 1]) for name in case.statistics]
    if None in x:
        return None
    weight, mant, sh, bias = case.weights
    acc = sum(w * v for w, v in zip(weight, x, strict=True))
    z = sat32(R(acc * mant, sh - 2 + 2) + bias)
    if not case.layers:
        return z
    found = quantise([widen("fp32", encode("fp32", cell)) for cell in case.states[t]], 16)
    if not found:
        return None
    q, E = found
    for layer in case.layers[:-1]:
        q, E = between(dense(integers(layer), q, E))
    return sat32(dense(integers(case.layers[-1]), q, E)[0] + z)


def rewards(case):
    steps = Steps(case)
    for t, token in enumerate(case.tokens):
        z = output(case, t)
        if z is None:
            yield "-"
            continue
        ahead = copy.deepcopy(steps)
        yield f"{z} {ahead.add([z])}"
        if token.ends:
            steps = ahead


# --- Cases ---

def trained(random, count, deviation=0.3):
    return (*integer_row([deviation * random.normal() for _ in range(count)], 16), int(random.normal() * 65536))


def some_tokens(random, count, spread=1.0):
    tokens = []
    for t in range(count):
        scores = {}
        for score in SCORES:
            low = int((random.normal() * spread + (3 if score != "token_logp" else -1)) * (1 << 20))
            if random.below(9) > 0:
                scores[score] = (low, low + (random.below(1 << 20) if random.below(9) == 0 else 0))
        tokens.append(Token(t == count - 1 or random.below(7) == 0, random.pick([0] * 9 + [NAN, SATURATED, EMPTY, 6]), scores))
    return tokens


def some_states(random, count, columns):
    return [[random.normal() for _ in range(columns)] for _ in range(count)]


def scores_alone(random):
    return Case(ALL, trained(random, len(ALL)), some_tokens(random, 120))


def few(random):
    names = ["min:token_logp", "steps", "step-mean:entropy"]
    return Case(names, trained(random, len(names)), some_tokens(random, 40), aggregation="product")


def one_layer(random):
    return Case(ALL, trained(random, len(ALL)), some_tokens(random, 40), [floats(random, 1, 24, 8)],
                some_states(random, 40, 24), "geometric-mean")


def two_layers(random):
    layers = [floats(random, 16, 24), floats(random, 1, 16)]
    states = some_states(random, 60, 24)
    states[7][3] = float("inf")
    return Case(ALL[::-1], trained(random, len(ALL)), some_tokens(random, 60), layers, states, "mean")


def far(random):
    """Scores beyond what is counted, and sums beyond what an output holds."""
    tokens = some_tokens(random, 60, 100.0)
    return Case(ALL, ([random.pick((-32767, 32767)) for _ in ALL], 65535, 20, (1 << 31) - 1), tokens)


def farther(random):
    case = far(random)
    case.weights = ([32767] * len(ALL), 65535, -3, -(1 << 31))
    case.layers, case.states = [floats(random, 1, 4)], some_states(random, 60, 4)
    return case


def many(random):
    """More tokens than a count's value can say, in steps as long."""
    blank = Token(False, 0, {"margin": (1 << 20, 1 << 20)})
    return Case(["tokens", "step-tokens", "steps", "mean:margin"], trained(random, 4, 0.1), [blank] * 4200)


CASES = {case.__name__.replace("_", "-"): case for case in (scores_alone, few, one_layer, two_layers, far, farther, many)}


# --- Files ---

def score_text(token, score):
    if score not in token.scores:
        return "-"
    low, high = token.scores[score]
    return str(low) if low == high else f"{low}:{high}"


def head(case):
    weight, mant, sh, bias = case.weights
    tensors = [("statistics.bias", "I32", [1], [bias]), ("statistics.mant", "U16", [1], [mant]),
               ("statistics.sh", "I16", [1], [sh]), ("statistics.weight", "I16", [1, len(weight)], weight)]
    for n, layer in enumerate(map(integers, case.layers)):
        rows = len(layer.weight)
        tensors += [(f"layer.{n}.bias", "I32", [rows], layer.bias), (f"layer.{n}.mant", "U16", [rows], layer.mant),
                    (f"layer.{n}.sh", "I16", [rows], layer.sh),
                    (f"layer.{n}.weight", f"I{layer.bits}", [rows, len(layer.weight[0])], flat(layer.weight))]
    tensors.sort(key=lambda tensor: -struct.calcsize(CODES[tensor[1]]))
    words = metadata("golden", case.output, case.aggregation) | {
        "arithmetic": "HX1 1, TS1 1", "statistics": "+".join(case.statistics)}
    return head_file(words, tensors)


def case_files(name, case):
    lines = [" ".join([str(int(token.ends)), str(token.flags)] + [score_text(token, s) for s in SCORES])
             for token in case.tokens]
    files = {f"{name}.head": head(case), f"{name}.scores": text(lines), f"{name}.rewards": text(rewards(case))}
    if case.states:
        files[f"{name}.npy"] = npy_file("fp32", [[encode("fp32", cell) for cell in state] for state in case.states])
    return files


def all_files():
    files = {}
    for name, make in CASES.items():
        files |= case_files(name, make(Random(name)))
    return files


if __name__ == "__main__":
    sys.exit(main(__doc__, "golden-statistics", all_files))
