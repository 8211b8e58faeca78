#!/usr/bin/env bash
# The man page names every command, every option of its --help, and every policy.
# shellcheck source=tests/system/lib.sh
. "$SOURCE/tests/system/lib.sh"

page=$(man -l "$SOURCE/host/man/veto.1" | col -b)
mentions() {
	cases=$((cases + 1))
	grep -qE -- "(^|[^a-z-])$1([^a-z-]|\$)" <<<"$page" || complain "veto.1 does not mention $1"
}
for command in $("$VETO" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
	mentions "VETO ${command^^}"
	for option in $("$VETO" "$command" --help | grep -oE '^ +(-[a-z], )?--?[a-z-]+' | grep -oE -- '-{1,2}[a-z-]+'); do
		mentions "$option"
	done
done
for policy in $("$VETO" policies | cut -d' ' -f1); do
	mentions "$policy"
done
finish
