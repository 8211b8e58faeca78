#!/usr/bin/env bash
# Includes point one way: each kind of file sees its own headers and those named here.
set -uo pipefail
cd "$SOURCE" || exit 1
failures=0
covered=" "

# allow FILES... -- HEADERS...: the project's headers that these files may include.
allow() {
	local files=() file header
	while [ "$1" != -- ]; do files+=("$1"); shift; done
	shift
	for file in "${files[@]}"; do
		[ -f "$file" ] || { echo "no such file: $file"; failures=$((failures + 1)); continue; }
		covered+="$file "
		while read -r header; do
			[[ " $* " == *" $header "* ]] || {
				echo "$file includes $header: allowed are: $*"
				failures=$((failures + 1))
			}
		done < <(sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file")
	done
}

# The library, from the bottom up.
allow hls/veto_hw.h hls/fx1_step.h --
allow hls/score_logits.[ch] -- veto_hw.h fx1_step.h score_logits.h
allow hls/hx1_step.h hls/score_hidden_job.h -- veto_hw.h
allow hls/score_hidden.[ch] -- veto_hw.h fx1_step.h hx1_step.h score_hidden.h score_hidden_job.h
allow hls/tb_*.c -- check.h golden.h heads.h launch.h launch_hidden.h rows.h score_logits.h score_hidden.h
allow host/veto.h -- veto_hw.h
allow host/score.c -- veto.h
allow host/fx1.[ch] -- veto.h fx1.h
allow host/hx1.[ch] -- veto.h fx1.h hx1.h
allow host/param.[ch] -- veto.h param.h
allow host/npy.[ch] -- npy.h param.h
allow host/hash.h host/clock.h host/random.h --
allow host/policy.[ch] host/judge.c host/policies/*.c -- veto.h policy.h param.h fx1.h hx1.h
allow host/session.c -- veto.h policy.h param.h
allow host/json.[ch] -- veto.h json.h param.h policy.h
allow host/map.[ch] -- map.h param.h
allow host/sha256.[ch] -- sha256.h
allow host/safetensors.[ch] -- veto.h fx1.h safetensors.h param.h
allow host/calibration.[ch] -- calibration.h
allow host/crc32c.[ch] -- crc32c.h
allow host/interval.[ch] -- veto.h interval.h
allow host/journal.[ch] host/journal_write.c -- veto.h journal.h map.h crc32c.h param.h
allow host/recording*.[ch] -- veto.h recording.h journal.h json.h map.h npy.h trace.h trace_lists.h trace_states.h param.h
allow host/replay.[ch] -- veto.h journal.h replay.h trace.h param.h
allow host/trace.[ch] host/trace_lists.[ch] host/trace_members.[ch] host/trace_states.[ch] -- veto.h trace.h trace_lists.h trace_members.h trace_states.h hash.h map.h npy.h param.h policy.h
allow host/trainer.[ch] -- trainer.h
allow host/train.[ch] -- train.h trainer.h param.h random.h
allow host/trace_rewards.[ch] -- head.h param.h trace.h trace_lists.h trace_rewards.h
allow host/backbone.[ch] -- backbone.h fx1.h map.h sha256.h param.h
allow host/statistics.[ch] -- veto.h hx1.h statistics.h
allow host/head.[ch] host/reward.c -- veto.h hx1.h head.h map.h safetensors.h sha256.h statistics.h param.h
allow host/head_make.[ch] -- head.h head_make.h sha256.h param.h
allow host/backend.h -- veto.h fx1.h head.h
allow host/device.c -- veto.h backend.h param.h
allow host/worker.[ch] -- worker.h clock.h
allow drivers/drivers.c drivers/cpu*.[ch] -- veto.h veto_hw.h backend.h fx1.h hx1.h param.h cpu.h cpu_row.h cpu_hidden.h cpu_products.h cpu_hidden_avx512.c
allow drivers/xrt.c drivers/xrt_cards.[ch] drivers/xrt_device.h drivers/xrt_flight.[ch] drivers/xrt_heads.c drivers/xrt_image.[ch] drivers/xrt_place.[ch] -- xclbin.h xrt_device.h xrt_flight.h xrt_layout.h veto_boards.h xrt_cards.h xrt_folder.h xrt_image.h backend.h param.h clock.h worker.h xrt_link.h xrt_place.h
allow drivers/xrt_layout.[ch] -- head.h xrt_layout.h
allow drivers/xrt_folder.h drivers/xrt_link.h drivers/xrt_child.c drivers/xrt_guard.c -- veto_hw.h clock.h worker.h xrt_folder.h xrt_link.h veto_kernels.h
allow host/verifier.c host/stream.[ch] -- veto.h head.h param.h policy.h clock.h stream.h
# Images and the card that emulation plays.
allow bitstreams/description.[ch] -- description.h param.h
allow bitstreams/kernels.[ch] -- kernels.h description.h param.h
allow bitstreams/boards.[ch] bitstreams/generate.c -- boards.h kernels.h description.h param.h veto_hw.h
allow bitstreams/xclbin.[ch] -- xclbin.h hash.h param.h
allow bitstreams/zip.[ch] -- zip.h
allow bitstreams/make_image.c -- kernels.h xclbin.h zip.h param.h veto_hw.h
allow bitstreams/emulated.h --
allow bitstreams/emulated_rtl.[ch] -- emulated_rtl.h rtl.h
allow bitstreams/rtl.[ch] bitstreams/rtl_bridge.h -- rtl.h rtl_bridge.h veto_kernels.h
allow bitstreams/hw_report.c -- boards.h description.h kernels.h param.h rtl.h veto_hw.h
allow bitstreams/wire.[ch] bitstreams/model.c -- wire.h emulated.h
# Programs see the library and themselves; only answers and texts of what they were told need more than veto.h.
allow host/source.h host/play.c -- veto.h source.h clock.h
allow host/sources/*.[ch] -- veto.h source.h llama_source.h llama_engine.h param.h hash.h
allow host/cli/*.[ch] -- veto.h param.h npy.h json.h hash.h source.h llama_source.h answer.h cli.h clock.h prompts.h rows_file.h rows_out.h run.h \
	score_print.h xclbin.h backbone.h head.h head_make.h map.h evaluation.h recorded.h settings.h split.h trace.h calibrated.h calibration.h random.h \
	baselines.h comparison.h evaluate_report.h partial.h plot.h reliability.h report.h spans.h journal.h recording.h replay.h run_journal.h run_open.h export.h fx1.h interval.h \
	examples.h hx1.h statistics.h trace_lists.h trace_rewards.h train.h trainer.h

# Foreign headers, each in one place.
only() {
	local header=$1 found
	shift
	found=$(grep -lE "^ *# *include *<$header" -r bitstreams host hls drivers | sort | tr '\n' ' ')
	[ "$found" = "$* " ] || { echo "<$header> is included by: $found(expected: $*)"; failures=$((failures + 1)); }
}
only 'cjson/cJSON.h' bitstreams/boards.c bitstreams/description.c bitstreams/hw_report.c bitstreams/kernels.c host/json.c host/safetensors.c host/trace.c host/trace_lists.c host/trace_members.c host/trace_states.c
only 'openssl/evp.h' host/sha256.c
only 'lbfgs.h' host/train.c
only 'llama.h' host/sources/llama_engine.h
only 'ggml.h' host/cli/head_sch.c
only 'gguf.h' host/cli/head_sch.c
only 'pthread.h' bitstreams/model.c drivers/cpu.c drivers/xrt_child.c drivers/xrt_device.h host/device.c
only 'immintrin.h' drivers/cpu_avx2.c drivers/cpu_avx512.c drivers/cpu_hidden_avx2.c drivers/cpu_hidden_avx512.c

# Policies, sessions and the reference scores do no I/O, start no threads, read no clock, and allocate only in _new.
pure="host/policy.c host/judge.c host/policies/*.c host/session.c host/fx1.c host/hx1.c host/reward.c host/score.c host/statistics.c"
# shellcheck disable=SC2086 # A list of patterns.
found=$(grep -nE '\b(fopen|printf|fprintf|puts|open|read|write|clock_gettime|time|pthread_[a-z]+|malloc|realloc|calloc)\(' $pure | grep -v 's = calloc(1, bytes);')
[ -z "$found" ] || { echo "forbidden calls:"; echo "$found"; failures=$((failures + 1)); }

# Sessions and devices meet in verifier.c and stream.c alone.
found=$(grep -nE '\bveto_(device|verifier|stream)_' host/policy.[ch] host/judge.c host/policies/*.c host/session.c
	grep -nE '\bveto_(session|rule|policy)_' host/device.c host/fx1.[ch] host/backend.h drivers/*.[ch])
[ -z "$found" ] || { echo "sessions and devices know of each other:"; echo "$found"; failures=$((failures + 1)); }

# Every source is covered above.
for file in bitstreams/*.[ch] hls/*.[ch] host/*.[ch] host/*/*.[ch] drivers/*.[ch]; do
	[[ "$covered" == *" $file "* ]] || { echo "$file: nothing says what it may include"; failures=$((failures + 1)); }
done
[ "$failures" -eq 0 ] && echo "includes point one way"
exit $((failures > 0))
