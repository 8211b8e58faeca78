#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What rejecting saves at a certified risk, on recorded candidates: every token score, trained heads, DeepConf's rule, and
stopping with and without rejecting.  Every figure is veto's own; what is tuned here is tuned on the fit part alone."""

import argparse
import json
import os
import subprocess
import sys
import tempfile

SCORES = {"self_certainty": 1, "entropy": -1, "token_logp": 1, "top1_logp": 1, "topk_confidence": 1, "margin": 1}
RECORDED = {"token_logp": "logp"}
HEADS = [("scores", "steps"), ("hidden", "steps"), ("both", "steps"), ("both", "answer")]
STOPS = ["adaptive-consistency:threshold=0.95", "adaptive-consistency:threshold=0.8", "consensus", "esc"]
EQUAL_STEPS = 60  # numbers that are tried to find the saving at equal risk
SELECTORS = ["majority", "weighted"]
# What calibrate says when the data can't show the risk, as against what keeps it from trying.
UNCERTIFIED = ["is certified", "are needed", "saves anything"]


def extra(head, cohort):
    """The options of a head and a cohort, where there are any."""
    return [*(["--head", head] if head else []), *(["--cohort", str(cohort)] if cohort else [])]


class Bench:
    """The program, the recording, and where files are put."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.trace = os.path.join(options.traces, "traces.jsonl")
        self.split = os.path.join(options.traces, "split.json")
        self.veto("evaluate", "--json", "--split", self.split, self.trace)  # which says what is wrong with them
        with open(self.split) as file:
            self.parts = json.load(file)
        with open(self.trace) as file:
            self.header, *self.lines = [json.loads(line) for line in file]

    def say(self, text):
        if sys.stderr.isatty():
            print(f"\r\033[Ktable: {text}", end="", file=sys.stderr, flush=True)

    def veto(self, *words):
        """The objects that a command prints; None if no policy is certified."""
        command = [self.options.veto, *words]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 1 and words[0] == "calibrate" and any(text in done.stderr for text in UNCERTIFIED):
            return None
        if done.returncode != 0:
            sys.exit(f"table: {' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def evaluate(self, part, policies, head=None, cohort=None):
        """Without a policy and with each of them: what evaluate says for every selector."""
        words = ["evaluate", "--json", "--split", self.split, "--part", part]
        for selector in SELECTORS:
            words += ["--select", selector]
        for policy in policies:
            words += ["--policy", policy]
        found = self.veto(*words, *extra(head, cohort), self.trace)
        if len(found) != len(SELECTORS) * (len(policies) + 1):
            sys.exit(f"table: veto evaluate told nothing of {' '.join(policies)}")
        by_selector = iter(found)
        return [{selector: next(by_selector) for selector in SELECTORS} for _ in range(len(policies) + 1)]

    def calibrate(self, name, policy, alpha, head=None, cohort=None):
        """The file of a certified policy; None if none is."""
        path = os.path.join(self.folder, f"{name}-{alpha}-{cohort}.json")
        found = self.veto("calibrate", "--json", "-o", path, "--policy", policy, "--alpha", str(alpha), "--delta", str(self.options.delta),
                          "--split", self.split, *extra(head, cohort), self.trace)
        return path if found else None


def lowest_window(values, window, sign):
    """The least mean of a full window of what a floor reads; None if there is no full one."""
    if len(values) < window or None in values:
        return None
    total = sum(values[:window])
    lows = [total]
    for new, old in zip(values[window:], values):
        total += new - old
        lows.append(total)
    return min(sign * low for low in lows) / window


def lowest_windows(bench, part, score, window, wrong_too=False):
    """Of the right candidates of a part, or of all."""
    lines = (line for line in bench.lines if bench.parts.get(line["prompt"]) == part and (wrong_too or line.get("correct")))
    lows = (lowest_window(line[RECORDED.get(score, score)], window, SCORES[score]) for line in lines)
    return [low for low in lows if low is not None]


def quantiles(values, levels):
    values = sorted(values)
    return sorted({values[min(int(level * len(values)), len(values) - 1)] for level in levels})


def best_by_alpha(candidates, alphas):
    """For each alpha the key with the largest saving on fit, of those whose risk there is at most alpha, and that saving."""
    best = {}
    for alpha in alphas:
        fit = [(found["majority"]["saved"], key) for key, found in candidates if found["majority"]["risk_candidate"] <= alpha]
        saved, key = max(fit, key=lambda pair: pair[0]) if fit else (0, candidates[0][0])
        best[alpha] = (key, saved)
    return best


def choose_windows(bench, score):
    """A floor's window for each alpha, by its best threshold on the fit part, and what that saves there."""
    levels = [0.02, 0.05, 0.1] if bench.options.quick else [i / 100 for i in range(1, 16)]
    policies, windows = [], []
    for window in bench.options.windows:
        lows = lowest_windows(bench, "fit", score, window)
        for threshold in quantiles(lows, levels) if lows else []:
            policies.append(f"floor:score={score},window={window},threshold={threshold:.6f}")
            windows.append(window)
    if not policies:
        sys.exit(f"table: no candidate of the fit part is as long as a window of {min(bench.options.windows)}")
    found = bench.evaluate("fit", policies)[1:]
    return best_by_alpha(list(zip(windows, found)), bench.options.alphas)


def choose_deepconf(bench):
    """Window and warm-up of DeepConf's rule for each alpha, by the best share kept on the fit part, and what that saves there."""
    keeps = [0.5, 0.9] if bench.options.quick else [0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99]
    windows = bench.options.windows[:1] if bench.options.quick else [w for w in bench.options.windows if w >= 8]
    warmups = [w for w in (2, 4) if w < bench.header["candidates"]]
    keys = [(window, warmup) for window in windows for warmup in warmups for _ in keeps]
    policies = [f"window-floor:window={window},warmup={warmup},keep={keep}" for window in windows for warmup in warmups for keep in keeps]
    return best_by_alpha(list(zip(keys, bench.evaluate("fit", policies)[1:])), bench.options.alphas)


def train_heads(bench):
    """Name and file of each head that the recording has the states and labels for."""
    has_states = any("hidden" in line for line in bench.lines)
    has_steps = any("steps" in line for line in bench.lines)
    for features, labels in HEADS:
        if (features != "scores" and not has_states) or (labels == "steps" and not has_steps):
            continue
        bench.say(f"head from {features}, labels {labels}")
        path = os.path.join(bench.folder, f"{features}-{labels}.head")
        bench.veto("head", "train", "--json", "--features", features, "--labels", labels, "--split", bench.split, "-o", path, bench.trace)
        yield f"head: {features}, {labels}", path


def row(bench, name, alpha, policy, numbers, head=None, fit=0):
    """A line of the table: the policy with its free number certified, its file None where none is, and with other numbers; fit: what
    the best number saves on the fit part, which says nothing of a head, as it has learned there."""
    others = [policy.replace("=?", f"={number:.6f}") for number in numbers]
    return {"name": name, "alpha": alpha, "policy": policy, "file": bench.calibrate(name, policy, alpha, head), "head": head, "others": others, "fit": fit}


def rejecting_rows(bench):
    alphas = bench.options.alphas
    for score in SCORES:
        bench.say(f"floor of {score}")
        for alpha, (window, fit) in choose_windows(bench, score).items():
            lows = lowest_windows(bench, "test", score, window, wrong_too=True)
            numbers = quantiles(lows, [i / EQUAL_STEPS for i in range(EQUAL_STEPS)])
            yield row(bench, f"floor: {score}, W {window}", alpha, f"floor:score={score},window={window},threshold=?", numbers, fit=fit)
    for name, head in train_heads(bench):
        for alpha in alphas:
            yield row(bench, name, alpha, "floor:score=reward,threshold=?", [i / EQUAL_STEPS for i in range(1, EQUAL_STEPS)], head)
    bench.say("DeepConf's rule")
    for alpha, ((window, warmup), fit) in choose_deepconf(bench).items():
        policy = f"window-floor:window={window},warmup={warmup},keep=?"
        yield row(bench, f"DeepConf: W {window}, warm-up {warmup}", alpha, policy, [1 - i / EQUAL_STEPS for i in range(EQUAL_STEPS)], fit=fit)


def measure(bench, rows):
    """Each row with what evaluate says of it on calibrate and test, one call a part and head, and with the largest saving on
    test of any number whose risk there is at most alpha."""
    measured = list(rows)
    for part in ("calibrate", "test"):
        for head in {row["head"] for row in measured}:
            bench.say(f"{part} part")
            chosen = [row for row in measured if row["file"] and row["head"] == head]
            for row, found in zip(chosen, bench.evaluate(part, [row["file"] for row in chosen], head)[1:]):
                row[part] = found
    for row in measured:
        bench.say(f"{row['name']} at equal risk")
        found = (one["majority"] for one in bench.evaluate("test", row["others"], row["head"]))
        row["equal"] = max(one["saved"] for one in found if one["risk_candidate"] <= row["alpha"])
    return sorted(measured, key=lambda row: -row["alpha"])


def percent(value, digits=1):
    return "none" if value is None else f"{100 * value:.{digits}f} %"


def interval(found, key):
    return f"{100 * found[key]:.1f} % ({100 * found[key + '_low']:.1f} to {100 * found[key + '_high']:.1f})"


def accuracies(found):
    return " / ".join(percent(found[selector]["accuracy"]) for selector in SELECTORS)


REJECTING = ["policy", "alpha", "at most at risk alpha, test part", "certified: calibrate part", "test part", "risk on test", "accuracy, majority / weighted",
             "cap at that risk", "random at that risk", "longest chain"]


def rejecting_cells(row):
    first = [row["name"], str(row["alpha"]), percent(row["equal"])]
    if not row["file"]:
        return first + ["none certified"] + [""] * 6
    test = row["test"]["majority"]
    return first + [percent(row["calibrate"]["majority"]["saved"]), percent(test["saved"]), interval(test, "risk_candidate"),
            accuracies(row["test"]), percent(test["saved_cap"]), percent(test["saved_random"]), f"{test['latency_tokens']:.1f}"]


STOPPING = ["at a time", "policy", "tokens", "saved", "longest chain", "accuracy, majority / weighted", "tokens less stop rule's",
            "accuracy less stop rule's", "accuracy less no policy's"]


def best_stop(bench, cohort):
    """The stop rule with the fewest tokens of those that cost no right answer on the fit part; if all do, the one that costs fewest."""
    none, *found = [one["majority"] for one in bench.evaluate("fit", STOPS, cohort=cohort)]
    return min(zip(STOPS, found), key=lambda pair: (max(0, none["accuracy"] - pair[1]["accuracy"]), pair[1]["tokens_used"]))[0]


def stopping_rows(bench, best):
    """Each stop rule alone and with the best policies, certified at that cohort: the recording's, and one candidate at a time."""
    for cohort in dict.fromkeys((bench.header["cohort"], 1)):
        chosen = best_stop(bench, cohort)
        files = [bench.calibrate("beside", row["policy"], row["alpha"], row["head"], cohort) for row in best]
        for stop in STOPS:
            bench.say(f"{stop}, {cohort} at a time")
            yield cohort, stop + (" (best on fit)" if stop == chosen else ""), bench.evaluate("test", [stop], cohort=cohort)[1]
            for row, file in zip(best, files):
                if file:
                    found = bench.evaluate("test", [stop, f"{file} + {stop}"], row["head"], cohort)[2]
                    yield cohort, f"  + {row['name']}, alpha {row['alpha']}", found


def stopping_cells(cohort, name, found):
    first = found["majority"]
    return [str(cohort), name, str(first["tokens_used"]), percent(first["saved"]), f"{first['latency_tokens']:.1f}", accuracies(found),
            interval(first, "tokens_difference"), interval(first, "answers_difference"), interval(first, "accuracy_difference")]


def best_rows(rows):
    """For each alpha the policy that saves most on the fit part: chosen by the calibrate part it would have to share delta with the others."""
    return [max((row for row in rows if row["alpha"] == alpha), key=lambda row: row["fit"]) for alpha in dict.fromkeys(row["alpha"] for row in rows)]


def print_table(title, lines, is_markdown):
    print(title)
    if is_markdown:
        print("\n| " + " | ".join(lines[0]) + " |\n|" + "---|" * len(lines[0]))
        print("\n".join("| " + " | ".join(line) + " |" for line in lines[1:]) + "\n")
        return
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    print("\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines) + "\n")


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("veto", help="the program")
    parser.add_argument("traces", help="the folder of traces.jsonl and split.json")
    parser.add_argument("--delta", type=float, default=0.1, help="the chance that a risk is above alpha (default %(default)s)")
    parser.add_argument("--markdown", action="store_true", help="rows of Markdown")
    parser.add_argument("--quick", action="store_true", help="short windows and few settings, for tests")
    options = parser.parse_args(words)
    options.alphas = [0.1, 0.05]
    options.windows = [4, 8] if options.quick else [4, 8, 16, 32]
    return options


def main(words):
    options = parse(words)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options, folder)
        rows = measure(bench, rejecting_rows(bench))
        none = {part: bench.evaluate(part, [])[0] for part in ("calibrate", "test")}
        stops = list(stopping_rows(bench, best_rows(rows)))
        bench.say("")
    full = none["test"]["majority"]
    print_table(f"Rejecting, delta {options.delta}:", [REJECTING, *map(rejecting_cells, rows)], options.markdown)
    print_table("Stopping, with and without rejecting, test part:", [STOPPING, *(stopping_cells(*row) for row in stops)], options.markdown)
    sizes = [len({line["prompt"] for line in bench.lines if bench.parts.get(line["prompt"]) == part}) for part in ("fit", "calibrate", "test")]
    print(f"{' / '.join(map(str, sizes))} questions of {bench.header['candidates']} candidates for fit / calibrate / test; "
          f"no policy on test: {full['tokens_used']} tokens, longest chain {full['latency_tokens']:.1f}, accuracy {accuracies(none['test'])}; "
          f"the oracle ({full['oracle']}) saves {percent(none['calibrate']['majority']['saved_oracle'])} on calibrate, "
          f"{percent(full['saved_oracle'])} on test")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
