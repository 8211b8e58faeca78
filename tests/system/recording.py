"""Makes recordings for recording.sh, and checks what veto makes of them, from the trace alone."""
import json
import math
import struct
import sys

LISTS = ["self_certainty", "entropy", "logp", "top1_logp", "topk_confidence", "margin"]
STATE, TOP, VOCAB = 4, 6, 5000


def read(path):
    head, *lines = [json.loads(line) for line in open(path)]
    return head, lines


def write(path, head, lines):
    with open(path, "w") as out:
        for item in [head, *lines]:
            out.write(json.dumps(item) + "\n")


def write_npy(path, descr, cols, values):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(values) // cols}, {cols}), }}"
    header = header.ljust(117) + "\n"
    code = {"<f2": "e", "<f4": "f"}[descr]
    with open(path, "wb") as out:
        out.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}{code}", *values))


def listed(line, i):
    """Six descending log-probabilities that fit the token's scores."""
    first = min(line["top1_logp"][i], -1e-6)
    rest = math.log(max(1 - math.exp(first), 1e-9))
    return [first] + [min(first, rest - math.log(2) * (j + 1)) for j in range(TOP - 1)]


def make(source, path):
    head, lines = read(source)
    head |= {"vocab": VOCAB, "cohort": 5}
    states, tops, folder = [], [], path.rsplit("/", 1)[0]
    for n, line in enumerate(lines):
        if n < head["candidates"]:
            line["tokens"][0] = 1000 + n  # so that the first question's candidates differ at once
        line["top"] = {"file": "top.npy", "row": len(tops) // TOP}
        for i in range(len(line["tokens"])):
            tops += listed(line, i)
        positions = [position for position, _ in line["steps"]]
        if positions:
            line["hidden"] = {"file": "hidden.npy", "rows": [len(states) // STATE + i for i in range(len(positions))], "positions": positions}
        states += [((n * 7 + p * 3 + j) % 23 - 11) / 8 for p in positions for j in range(STATE)]
        if n == 3:
            line["entropy"][2] = None
            line["entropy"][4] = [0.25, 0.5]
            line["self_certainty"][5] = [1.5, None]
            line["tokens"][1] = None
            line["finished"] = False
            line["correct"] = False
        if n == 10:
            line["answer"] = None
            line["correct"] = False
    write(path, head, lines)
    write_npy(f"{folder}/hidden.npy", "<f2", STATE, states)
    write_npy(f"{folder}/top.npy", "<f4", TOP, tops)


def q20(value):
    if value is None:
        return None
    return [q20(v) for v in value] if isinstance(value, list) else round(value * 2**20)


def same(a, b):
    (head_a, lines_a), (head_b, lines_b) = read(a), read(b)
    assert head_a == head_b, (head_a, head_b)
    assert len(lines_a) == len(lines_b) > 0
    for x, y in zip(lines_a, lines_b):
        for name in LISTS:
            assert [q20(v) for v in x.pop(name)] == [q20(v) for v in y.pop(name)], name
        for name in ("hidden", "top"):
            if name in x:
                x[name].pop("file")
                y[name].pop("file")
        assert x == y, (x, y)


def split(path, first, second):
    head, lines = read(path)
    names = list(dict.fromkeys(line["prompt"] for line in lines))
    half = names[: len(names) // 2]
    write(first, head, [line for line in lines if line["prompt"] in half])
    write(second, head, [line for line in lines if line["prompt"] not in half])


def change(path, out, what):
    key, value = what.split("=", 1)
    head, lines = read(path)
    head[key] = int(value) if value.isdigit() else value
    if key == "candidates":
        lines = [line for line in lines if line["candidate"] < int(value)]
        head["cohort"] = 5
    write(out, head, lines)


def bad_top(path, out, member):
    head, lines = read(path)
    lines[5]["top"] |= json.loads(member)
    write(out, head, lines)


def bad_file(path, out, key, file):
    head, lines = read(path)
    lines[5][key]["file"] = file
    write(out, head, lines)


def crc32c(crc, data):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def take_count(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def label_place(choice, candidate):
    """Where a candidate's label stands in the payload of a choice: behind its text."""
    _, at = take_count(choice, 0)
    _, at = take_count(choice, at)
    for i in range(candidate + 1):
        length, at = take_count(choice, at)
        at += max(length - 1, 0)
        if i < candidate:
            at += 1
    return at


def relabel(path, out, prompt, candidate):
    """A journal in which a wrong candidate of the prompt of that index is called right, and all sums fit."""
    data, at, total, made, choices = open(path, "rb").read(), 8, 0, b"", 0
    while at < len(data):
        size, kind, _, _ = struct.unpack_from("<4I", data, at)
        payload = bytearray(data[at + 16: at + 16 + size])
        if kind == 3:
            if choices == int(prompt):
                place = label_place(payload, int(candidate))
                assert payload[place] == 1, payload[place]
                payload[place] = 2
            choices += 1
        head = struct.pack("<3I", size, kind, crc32c(0, payload))
        total = crc32c(total, head)
        made += head + struct.pack("<I", total) + payload
        at += 16 + size
    with open(out, "wb") as journal:
        journal.write(data[:8] + made)


def reward(path, out):
    head, lines = read(path)
    for n, line in enumerate(lines):
        ends = [position for position, _ in line["steps"]]
        line["reward"] = [((n + i) % 16) / 16 if i in ends else None for i in range(len(line["tokens"]))]
    write(out, head, lines)


def known_row(line, i, k):
    """Bounds of self-certainty and entropy of a token, by hls/arithmetic.md."""
    e = VOCAB * 2.0**-24 + 2.0**-20
    logps = [struct.unpack("f", struct.pack("f", v))[0] for v in listed(line, i)[:k]]
    least = logps[-1]
    sampled = round(line["logp"][i] * 2**20) / 2**20
    if sampled < least - 2e-6:
        logps.append(sampled)
    n, m = VOCAB - len(logps), math.exp(least) * (1 + 2 * e)
    p = sum(map(math.exp, logps))
    s = 2 * e + len(logps) * 2.0**-50
    high, low = min(max(1 - p, 0) + s, n * m, 1), max(1 - p - s, 0)
    certainty = -math.log(VOCAB) - (sum(logps) + n * math.log(high / n)) / VOCAB - len(logps) * e / VOCAB
    known = -sum(math.exp(v) * v for v in logps)

    def least_of(r):
        q = math.floor(r / m)
        rest = r - q * m
        return 0 if m >= 1 / math.e else -q * m * math.log(m) - (rest * math.log(rest) if rest > 0 else 0)
    out = 2 * e * (1 + known)
    spread = min(high, n / math.e)
    return certainty, known + min(least_of(low), least_of(high)) - out, known + spread * math.log(n / spread) + out


def play_floor(lines, window, threshold, score):
    """Tokens that a floor lets be written; score(line, i): the upper end as rules read it, or None."""
    used = rejected = 0
    for line in lines:
        values = [score(line, i) for i in range(len(line["tokens"]))]
        end = len(values)
        for t in range(window, len(values)):
            seen = [v for v in values[t - window:t] if v is not None]
            if line["candidate"] > 0 and 2 * len(seen) >= window and math.trunc(sum(seen) / len(seen)) < round(threshold * 2**20):
                end = t
                rejected += 1
                break
        used += end
    return used, rejected


def as_listed(path, k, result):
    head, lines = read(path)
    head["cohort"] = 8
    k = int(k)
    first, *rest = [json.loads(line) for line in open(result)]
    assert first["policy"] == "none"

    def confidence(line, i):
        values = [struct.unpack("f", struct.pack("f", v))[0] for v in listed(line, i)[:k]]
        return None if min(values) < -85 else round(-sum(values) / k * 2**20)
    expected = {
        "topk_confidence": (confidence, 9),
        "entropy": (lambda line, i: -math.floor(known_row(line, i, k)[1] * 2**20), -0.5),
        "sc_lower": (lambda line, i: math.floor(known_row(line, i, k)[0] * 2**20), 7),
        "token_logp": (lambda line, i: round(line["logp"][i] * 2**20), -0.5),
    }
    seen = 0
    for line in rest:
        name = line["policy"].split("score=")[1].split(",")[0]
        if name == "self_certainty":
            assert line["saved"] == 0, line
            continue
        used, rejected = play_floor(lines, 4, expected[name][1], expected[name][0])
        assert rejected > 0, name
        assert abs(used - line["tokens_used"]) <= 0, (name, used, line["tokens_used"])
        seen += 1
    assert seen == 4


def lines_of(path, kind, result):
    head, lines = read(path)
    made = [json.loads(line) for line in open(result)]
    questions = {}
    for line in lines:
        questions.setdefault(line["prompt"], []).append(line)
    expected = []
    for name, group in questions.items():
        prompt = head["questions"][name]
        right = [line for line in group if line.get("correct") and line["finished"]]
        wrong = [line for line in group if not (line.get("correct") and line["finished"])]
        if kind == "preferences":
            expected += [{"prompt": prompt, "chosen": a["text"], "rejected": b["text"]} for a, b in zip(right, wrong)]
        elif kind == "best-of-n" and right:
            best = max(right, key=lambda line: sum(round(v * 2**20) for v in line["logp"]) / len(line["logp"]))
            expected.append({"prompt": prompt, "response": best["text"], "right": len(right), "candidates": head["candidates"]})
        for line in group:
            steps = line["text"].split("\n")[: len(line["steps"])]
            labels = [label for _, label in line["steps"]][: len(steps)]
            if kind == "steps" and labels:
                expected.append({"prompt": prompt, "completions": steps, "labels": labels})
            elif kind == "first-error" and labels:
                expected.append({"problem": prompt, "steps": steps, "label": labels.index(False) if False in labels else -1})
            elif kind == "progress" and labels:
                rewards = [line["reward"][position] for position, _ in line["steps"]][: len(steps)]
                expected.append({"prompt": prompt, "steps": steps, "rewards": rewards,
                    "progress": [b - a for a, b in zip([0] + rewards, rewards)]})
    assert len(expected) > 3
    assert made == expected, [(a, b) for a, b in zip(made, expected) if a != b][:1] or (len(made), len(expected))


{"make": make, "same": same, "split": split, "change": change, "bad-top": bad_top, "bad-file": bad_file, "reward": reward, "relabel": relabel, "as": as_listed, "lines": lines_of}[
    sys.argv[1]](*sys.argv[2:])
