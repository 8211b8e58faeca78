# A thin face on the CMake presets.  Each target installs what it needs; see host/setup.sh.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build demo check calibration-proof table bench hw-report fuzz tidy install clean

setup := host/setup.sh
# A user's own llama.cpp comes first; WITH_LLAMA=0 builds without.
WITH_LLAMA ?= 1
ifeq ($(WITH_LLAMA),1)
configure = prefix="$$($(setup) engine)" && \
	cmake --preset $(1) -U 'llama_*' -U '*ggml*' -U '*GGML*' -DVETO_LLAMA=ON -DCMAKE_PREFIX_PATH="$$prefix"
else
configure = cmake --preset $(1) -DVETO_LLAMA=OFF
endif

build:
	$(setup) packages run
	$(call configure,release)
	cmake --build --preset release

demo: build
	host/demo/demo.sh build/bin/veto

check:
	$(setup) packages check
	$(call configure,dev)
	cmake --build --preset dev
	$(if $(filter 1,$(WITH_LLAMA)),$(setup) model >/dev/null)
	tests/check.sh build/dev

bench:
	$(setup) packages bench
	$(setup) venv build/venv numpy
	$(call configure,bench)
	cmake --build --preset bench
	tests/bench/bench.sh build

hw-report:
	$(setup) packages hw-report
	$(call configure,bench)
	cmake --build --preset bench --target hw_report
	hls/rtl/report.sh build

calibration-proof:
	$(setup) packages check
	cmake --preset dev
	cmake --build --preset dev --target test_calibration
	build/dev/bin/test_calibration 2000 400000

# What rejecting saves at a certified risk, on the recording that comes along, or in the folder TRACES.
table: build
	tests/bench/table.sh build $(if $(TRACES),"$(TRACES)")

fuzz:
	$(setup) packages fuzz
	cmake --preset fuzz
	cmake --build --preset fuzz
	tests/fuzz/fuzz.sh build/fuzz

tidy:
	$(setup) packages tidy
	$(call configure,dev)
	cmake --build --preset dev --target made
	tests/tidy.sh build/dev

install: build
	cmake --install build $(if $(PREFIX),--prefix "$(PREFIX)")

clean:
	rm -rf build
