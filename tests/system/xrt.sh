#!/usr/bin/env bash
# Emulated cards of several processes and users at once, and a /tmp that can't be written to.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

rows=$SOURCE/tests/golden/size-3000-fp32.npy
modes="sw hw"
"$VETO" score --json "$rows" >"$work/right"

# A veto that every user can run, wherever the build lies.
cmake --install "$BUILD" --prefix "$work/prefix" >"$work/log" || { cat "$work/log"; exit 1; }
cp "$rows" "$work/rows.npy"
chmod -R a+rX "$work"
installed=$work/prefix/bin/veto

# What they write is theirs to remove, wherever veto lies and whatever the stack's limit is.
odd="$work/a b:c"
cp -r "$work/prefix" "$odd"
for mode in $modes; do
	cases=$((cases + 3))
	"$odd/bin/veto" score --json -d "xrt:emulation=$mode" "$rows" >"$work/odd" 2>"$work/stderr"
	cmp -s "$work/right" "$work/odd" || complain "$mode: in '$odd': $(head -n 3 "$work/stderr")"
	(ulimit -s 1024 && "$installed" score --json -d "xrt:emulation=$mode" "$rows") >"$work/small" 2>"$work/stderr"
	cmp -s "$work/right" "$work/small" || complain "$mode: with a small stack: $(head -n 3 "$work/stderr")"
	refuse 2 "can't read '$work': it is no regular file" "$VETO" score -d "xrt:emulation=$mode,xclbin=$work" "$rows"
done
left=$(find "$work/prefix" "$odd" -name '*.log')
[ -z "$left" ] || complain "left behind: $left"

# Made alike in every folder, but for what sanitizers say of the sources.
for mode in $modes; do
	cases=$((cases + 1))
	grep -qa __ubsan "$work/prefix/libexec/veto/veto-$mode-emu.xclbin" && continue
	! grep -qaF "$SOURCE" "$work/prefix/libexec/veto/veto-$mode-emu.xclbin" || complain "$mode: the image names $SOURCE"
done

# A lost card says why, and which it was.
refuse 1 "row 0 and later: xrt:emulation=sw,index=0,deadline=1: Connection timed out: nothing came back for 1 s: it is lost" \
	env VETO_MODEL_FAULT=hang:run:1 "$VETO" score --json -d cpu: -d xrt:emulation=sw,deadline=1 "$rows"

# What was built from what.
for mode in $modes; do
	manifest=$work/prefix/libexec/veto/veto-$mode-emu.xclbin.sha256
	cases=$((cases + 2))
	(cd "$SOURCE" && grep -v ' veto-' "$manifest" | sha256sum -c --quiet) || complain "$mode: the sources are not those of the manifest"
	(cd "$work/prefix/libexec/veto" && grep ' veto-' "$manifest" | sha256sum -c --quiet) || complain "$mode: the image is not that of the manifest"
done

# start NAME COMMAND...: in the background; what it prints goes to a file of that name.
start() {
	local name=$1
	shift
	"$@" >"$work/$name" 2>"$work/$name.err" </dev/null &
}

# All that were started, and that each printed the right scores.
finish_started() {
	local name
	wait
	for name in "$@"; do
		cases=$((cases + 1))
		cmp -s "$work/right" "$work/$name" || complain "$name: $(tail -n 3 "$work/$name.err")"
	done
}

names=()
for mode in $modes; do
	for i in 1 2 3; do
		names+=("$mode-$i")
		start "$mode-$i" "$VETO" score --json -d "xrt:emulation=$mode" "$rows"
	done
done
finish_started "${names[@]}"

nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/)
if [ "$(id -u)" = 0 ] && "${nobody[@]}" true 2>/dev/null; then
	names=()
	for mode in $modes; do
		names+=("root-$mode" "nobody-$mode")
		start "root-$mode" "$installed" score --json -d "xrt:emulation=$mode" "$work/rows.npy"
		start "nobody-$mode" "${nobody[@]}" "$installed" score --json -d "xrt:emulation=$mode" "$work/rows.npy"
	done
	finish_started "${names[@]}"
else
	echo "skipped: two users at once: only root can be another user"
fi

# XRT itself has its sockets in /tmp/$USER, whatever TMPDIR says.
read_only_tmp() { unshare --mount --map-root-user sh -c 'mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && exec "$@"' sh "$@"; }
if read_only_tmp true 2>/dev/null; then
	for mode in $modes; do
		refuse 1 "xrt: can't make a folder in /tmp, where XRT has its sockets: Read-only file system" \
			read_only_tmp "$VETO" score -d "xrt:emulation=$mode" "$rows"
	done
else
	echo "skipped: a /tmp that can't be written to: no name spaces here"
fi
finish
