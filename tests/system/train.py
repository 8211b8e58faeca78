# SPDX-License-Identifier: Apache-2.0
"""Recordings with hidden states for train.sh: steps whose tokens' scores and whose states say whether they are right.
train.py FOLDER writes them; train.py --rewards FOLDER prints head, threshold, and how many tokens a floor leaves."""

import json
import random
import struct
import sys

COLUMNS, QUESTIONS, CANDIDATES = 16, 60, 4
SCORES = {"self_certainty": 12, "entropy": 0.3, "logp": -0.3, "top1_logp": -0.2, "topk_confidence": 9, "margin": 4}
NAMES = {"logp": "token_logp"}
dice = random.Random(4)
DIRECTION = [dice.gauss(0, 1) for _ in range(COLUMNS)]


def npy(kind, rows):
    code = {"f2": "e", "f4": "f"}[kind]
    head = f"{{'descr': '<{kind}', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}"
    head += " " * ((-len(head) - 11) % 64) + "\n"
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() +
            b"".join(struct.pack(f"<{len(row)}{code}", *row) for row in rows))


def candidate(question, index, rows):
    """Three steps of four tokens and a last token; a step goes wrong one time in four, and then all that follows is."""
    scores = {name: [] for name in SCORES}
    steps, ok, first = [], True, len(rows)
    for step in range(3):
        ok = ok and dice.random() > 0.25
        for _ in range(4):
            low = abs(dice.gauss(0, 0.3)) if ok else abs(dice.gauss(0, 0.6))
            for name, level in SCORES.items():
                sign = 1 if name == "entropy" else -1
                scores[name].append(round(level + dice.gauss(0, 0.01) + sign * low, 6))
        rows.append([dice.gauss(0, 1) + (0.45 if ok else -0.45) * d for d in DIRECTION])
        steps.append([4 * step + 3, ok])
    for name, level in SCORES.items():
        scores[name].append(level)
    rows.append([dice.gauss(0, 1) + (0.45 if ok else -0.45) * d for d in DIRECTION])
    return {"prompt": f"q{question}", "candidate": index, "finished": True, "answer": "1" if ok else f"no {index}", "correct": ok,
            "tokens": [7] * 13, "steps": steps,
            "hidden": {"file": "h.npy", "rows": list(range(first, first + 4)), "positions": [3, 7, 11, 12]}} | scores


def write_all(folder):
    rows = []
    head = {"trace": 1, "candidates": CANDIDATES, "cohort": CANDIDATES, "max_tokens": 20, "policy": "none"}
    lines = [candidate(q, c, rows) for q in range(QUESTIONS) for c in range(CANDIDATES)]

    def write(name, *objects):
        with open(f"{folder}/{name}.jsonl", "w") as out:
            out.writelines(json.dumps(o) + "\n" for o in objects)

    def without(line, *keys):
        return {k: v for k, v in line.items() if k not in keys}

    def spoil(name, **members):
        write(name, head, lines[0] | {"hidden": lines[0]["hidden"] | members}, *lines[1:])

    write("trace", head, *lines)
    write("stateless", head, *[without(line, "hidden") for line in lines])
    write("scoreless", head, *[without(line, *SCORES) for line in lines])
    write("unlabelled", head, *[without(line, "correct") for line in lines])
    write("stepless", head, *[without(line, "steps") for line in lines])
    write("right", head, *[line | {"correct": True} for line in lines])
    # The same fit part, with all else turned round; and questions whose text stands there twice.
    fit = {f"q{q}": "fit" if q % 2 else ("test" if q % 4 else "calibrate") for q in range(QUESTIONS)}
    with open(f"{folder}/split.json", "w") as out:
        json.dump(fit, out)
    write("turned", head, *[line if fit[line["prompt"]] == "fit" else line | {
        "correct": not line["correct"], "steps": [[p, not ok] for p, ok in line["steps"]], "logp": [-x for x in line["margin"]],
        "hidden": line["hidden"] | {"rows": line["hidden"]["rows"][::-1]}} for line in lines])
    write("doubles", head | {"questions": {f"q{q}": f"What is {q // 2}?" for q in range(QUESTIONS)}}, *lines)
    write("partly", head, without(lines[0], "correct"), *lines[1:])
    for name, kind, columns in ("h", "f2", COLUMNS), ("narrow", "f2", 8), ("wide", "f4", COLUMNS):
        with open(f"{folder}/{name}.npy", "wb") as out:
            out.write(npy(kind, [row[:columns] for row in rows]))
    rows[0] = [float("inf")] * COLUMNS
    with open(f"{folder}/infinite.npy", "wb") as out:
        out.write(npy("f2", rows))
    for name, states in ("infinite", "infinite"), ("narrow", "narrow"):
        write(name, head, *[line | {"hidden": line["hidden"] | {"file": f"{states}.npy"}} for line in lines])
    write("mixed", head, lines[0], lines[1] | {"hidden": lines[1]["hidden"] | {"file": "narrow.npy"}}, *lines[2:])
    write("members", head, lines[0] | {"hidden": {"file": "h.npy", "rows": [0]}}, *lines[1:])
    spoil("lengths", rows=[0])
    spoil("row", rows=[0, 1, 2, len(rows)])
    spoil("half", rows=[0.5, 1, 2, 3])
    spoil("position", positions=[3, 7, 11, 13])
    spoil("falling", positions=[7, 3, 11, 12])
    spoil("gap", rows=[0, 1, 2], positions=[3, 7, 11])
    spoil("file", file="nowhere.npy")
    spoil("text", file="trace.jsonl")
    spoil("wide", file="wide.npy")


# --- Rewards in floating point, from a head's weights ---

def read_head(path):
    file = open(path, "rb").read()
    length = struct.unpack("<Q", file[:8])[0]
    header, data, tensors = json.loads(file[8:8 + length]), file[8 + length:], {}
    for name, t in header.items():
        if name != "__metadata__":
            start, end = t["data_offsets"]
            code = {"I32": "i", "U16": "H", "I16": "h"}[t["dtype"]]
            tensors[name] = struct.unpack(f"<{(end - start) // struct.calcsize(code)}{code}", data[start:end])
    return header["__metadata__"], tensors


def weights(tensors, part):
    unit = tensors[f"{part}.mant"][0] * 2.0 ** -tensors[f"{part}.sh"][0]
    return [w * unit for w in tensors[f"{part}.weight"]], tensors[f"{part}.bias"][0] / 65536


def statistic(name, line, t):
    start = max([p + 1 for p, _ in line["steps"] if p < t], default=0)
    kind, _, score = name.partition(":")
    if not score:
        steps = 1 + sum(p < t for p, _ in line["steps"])
        return {"tokens": t + 1, "step-tokens": t + 1 - start, "steps": steps}[kind] / 64
    key = next(k for k in SCORES if NAMES.get(k, k) == score)
    values = [-v if key == "entropy" else v for v in line[key][start if kind.startswith("step") else 0:t + 1]]
    return min(values) if kind.endswith("min") else sum(values) / len(values)


def output(head, line, states, t):
    metadata, tensors = head
    z = 0
    if "statistics" in metadata:
        w, z = weights(tensors, "statistics")
        z += sum(a * statistic(name, line, t) for a, name in zip(w, metadata["statistics"].split("+")))
    if "layer.0.weight" in tensors:
        w, bias = weights(tensors, "layer.0")
        row = line["hidden"]["rows"][line["hidden"]["positions"].index(t)]
        z += bias + sum(a * x for a, x in zip(w, states[row]))
    return z


def print_rewards(folder):
    """For three thresholds a head, each in the widest gap near a tenth, a fifth and two fifths of all outputs."""
    lines = [json.loads(line) for line in list(open(f"{folder}/trace.jsonl"))[1:]]
    file = open(f"{folder}/h.npy", "rb").read()
    values = [v for v, in struct.iter_unpack("<e", file[10 + struct.unpack("<H", file[8:10])[0]:])]
    states = [values[i:i + COLUMNS] for i in range(0, len(values), COLUMNS)]
    for name in "scores-steps", "hidden-steps", "both-answer":
        head = read_head(f"{folder}/{name}.head")
        z = [[output(head, line, states, t) for t in (3, 7, 11)] for line in lines]
        every = sorted(v for row in z for v in row)
        for share in 0.1, 0.2, 0.4:
            near = range(int(share * len(every)), int(share * len(every)) + 20)
            at = max(near, key=lambda i: every[i + 1] - every[i])
            threshold = (every[at] + every[at + 1]) / 2
            tokens = sum(next((t + 1 for t, v in zip((3, 7, 11), row) if v < threshold), 13) for row in z)
            print(name, f"{1 / (1 + 2.718281828459045 ** -threshold):.9f}", tokens)


if sys.argv[1] == "--rewards":
    print_rewards(sys.argv[2])
else:
    write_all(sys.argv[1])
