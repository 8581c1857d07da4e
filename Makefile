# make demo   from a bare checkout: environment, build, train, export, serve, score over gRPC, a table and a picture
# make test   from a bare checkout: environment, lint, types, contracts, C++ tests, Python tests
PYTHON ?= python3.11
# Processes that share the Python tests, a file at a time: a file's models are exported once. Timed ones run alone.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := CMakeLists.txt pyproject.toml constraints.txt $(shell find runtime/cpp -type f)

.PHONY: demo test lint cpp pytest sanitize arm extras clients docs tutorials benchmark bench-check bench-baseline proto clean help

help:
	@grep -hE '^# make' Makefile | cut -c3-
	@echo 'make lint | cpp | pytest    one part of `make test`'
	@echo 'make sanitize               the C++ tests under the address, undefined-behaviour and thread sanitizers'
	@echo 'make arm                    offbeat-edge for 64-bit Arm, its golden windows under emulation (docs/edge.md)'
	@echo 'make extras                 the sdist and the wheel, and every extra in a fresh environment of its own'
	@echo 'make clients                Node, KServe, grpcurl and Triton'"'"'s load generator, installed anew, against the server'
	@echo 'make docs                   the documentation site, to build/docs; any warning is an error'
	@echo 'make tutorials              every block of docs/tutorials, run as it stands'
	@echo 'make benchmark              the pytest-benchmark suite, to benchmarks/results/latest.json'
	@echo 'make bench-check            what is slower than the stored baseline: a table, build/bench-check.md, exit status 1'
	@echo 'make bench-baseline         that baseline anew, of this machine'
	@echo 'make proto                  the generated wire code, after a change under proto/'

demo: $(VENV)/.installed
	$(BIN)/python examples/server_metrics.py

test: lint cpp pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

cpp:
	cmake -S . -B build/cmake -DCMAKE_BUILD_TYPE=Release
	cmake --build build/cmake --parallel 2
	ctest --test-dir build/cmake --output-on-failure

sanitize:
	cmake --preset asan && cmake --build --preset asan && ctest --preset asan
	cmake --preset tsan && cmake --build --preset tsan && ctest --preset tsan

arm:
	cmake --preset aarch64
	cmake --build --preset aarch64 --target offbeat-edge
	ctest --preset aarch64 --tests-regex golden

pytest: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile
	$(BIN)/python -m pytest benchmarks --benchmark-disable

extras: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/packaging -rP --numprocesses $(WORKERS)

clients: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/clients

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs --quiet build --strict

tutorials: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests/tutorials --numprocesses $(WORKERS)

benchmark: $(VENV)/.installed-dev
	$(BIN)/python -m pytest benchmarks --benchmark-json benchmarks/results/latest.json

# BASE=../base compares with another checkout, which has its .venv, in place of the baseline.
bench-check: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.check --markdown build/bench-check.md $(if $(BASE),--base $(BASE))

bench-baseline: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.check --save

proto: $(VENV)/.installed-dev
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=runtime --pyi_out=runtime --grpc_python_out=runtime \
	    proto/offbeat/v1/scoring.proto proto/offbeat/inference/open_inference.proto

# torch comes first and pinned: left to the resolver, an open range takes a build with several GB of CUDA libraries.
$(VENV)/.torch: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt torch scikit-build-core nanobind
	@touch $@

$(VENV)/.installed: $(VENV)/.torch $(SOURCES)
	$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) build demo
