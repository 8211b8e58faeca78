# A thin face on the CMake presets.  Each target installs what it needs; see host/setup.sh.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: build demo check bench fuzz tidy install clean

setup := host/setup.sh
# A user's own llama.cpp (CMAKE_PREFIX_PATH, or what pkg-config finds) comes first; WITH_LLAMA=0 builds without.
WITH_LLAMA ?= 1
engine = $(if $(filter 1,$(WITH_LLAMA)),$(if $(CMAKE_PREFIX_PATH),,-DCMAKE_PREFIX_PATH="$$($(setup) engine)"),-DVETO_LLAMA=OFF)

build:
	$(setup) packages run
	cmake --preset release $(engine)
	cmake --build --preset release

demo: build
	host/demo/demo.sh build/bin/veto

check:
	$(setup) packages check
	cmake --preset dev $(engine)
	cmake --build --preset dev
	$(if $(filter 1,$(WITH_LLAMA)),$(setup) model >/dev/null)
	tests/check.sh build/dev

bench:
	$(setup) packages bench
	$(setup) venv build/venv numpy
	cmake --preset bench $(engine)
	cmake --build --preset bench
	tests/bench/bench.sh build

fuzz:
	$(setup) packages fuzz
	cmake --preset fuzz
	cmake --build --preset fuzz
	tests/fuzz/fuzz.sh build/fuzz

tidy:
	$(setup) packages tidy
	cmake --preset dev $(engine)
	tests/tidy.sh build/dev

install: build
	cmake --install build $(if $(PREFIX),--prefix "$(PREFIX)")

clean:
	rm -rf build
