# shellcheck shell=bash
# Sourced by the system tests: a folder of their own, and checks that say what they saw.
# VETO is the program, SOURCE the repository.
set -uo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
cases=0

complain() {
	echo "FAILED: $*"
	failures=$((failures + 1))
}

# refuse STATUS MESSAGE COMMAND...: the command ends with that exit code, says MESSAGE on stderr in one line, and writes
# nothing to stdout.
refuse() {
	local want=$1 message=$2 status=0
	shift 2
	cases=$((cases + 1))
	"$@" >"$work/stdout" 2>"$work/stderr" </dev/null || status=$?
	[ "$status" = "$want" ] || complain "$*: exit code $status, expected $want: $(head -n 3 "$work/stderr")"
	grep -qF -- "$message" "$work/stderr" || complain "$*: said '$(head -n 3 "$work/stderr")', expected '$message'"
	[ "$(wc -l <"$work/stderr")" = 1 ] || complain "$*: $(wc -l <"$work/stderr") lines on stderr"
	[ ! -s "$work/stdout" ] || complain "$*: wrote to stdout"
}

# reseal FILE: a policy file with the checksum that is right for it.
reseal() {
	python3 - "$1" <<'PY'
import json, re, sys
path = sys.argv[1]
text = open(path).read()
members = json.loads(text, parse_float=str, parse_int=str)
hash = 0xcbf29ce484222325
for key, value in members.items():
    if key != "calibrated_checksum":
        for byte in f"{key}\0{'+'.join(value) if isinstance(value, list) else value}\0".encode():
            hash = (hash ^ byte) * 0x100000001b3 % 2**64
open(path, "w").write(re.sub('(checksum": ")[0-9a-f]*', rf"\g<1>{hash:016x}", text))
PY
}

# expect TEXT COMMAND...: the command ends with 0 and prints TEXT.
expect() {
	local text=$1 status=0
	shift
	cases=$((cases + 1))
	"$@" >"$work/stdout" 2>"$work/stderr" </dev/null || status=$?
	[ "$status" = 0 ] || complain "$*: exit code $status: $(head -n 5 "$work/stderr")"
	grep -qF -- "$text" "$work/stdout" || complain "$*: '$text' is not in: $(head -n 5 "$work/stdout")"
}

# progress TEXT COMMAND...: with a terminal as stderr the command shows TEXT there, and nothing is left of it.
progress() {
	local text=$1
	shift
	cases=$((cases + 1))
	python3 - "$text" "$@" <<'PY' || complain "$*: no progress"
import os, subprocess, sys
ours, theirs = os.openpty()
child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
seen = b""
try:
    while more := os.read(ours, 4096):
        seen += more
except OSError:  # it was closed
    pass
sys.exit(child.wait() != 0 or sys.argv[1].encode() not in seen or not seen.endswith(b"\r\033[K"))
PY
}

finish() {
	echo "$cases cases, $failures failures"
	[ "$failures" = 0 ] && [ "$cases" -gt 0 ]
	exit
}
