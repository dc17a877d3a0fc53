# `make venv` needs nothing but python3 >= 3.11 with venv, pip and make.
PYTHON ?= python3
# More arguments of pip, such as an index that has the build of torch that this machine needs.
PIP_EXTRA ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
# Hundreds of the tests' processes import torch: without its bytecode, which some environments forbid to write, each would
# compile it again.
unexport PYTHONDONTWRITEBYTECODE
# Parallelism is processes: more threads per process would only compete.
# Who has done all tests takes some of the other's: the longest ones lie together.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist worksteal

.PHONY: venv demo test mutants browser napari check lint types contracts site screenshots bench bench-large bench-peers bench-gpu gpu reproduce minutes auxiliary sparse corrections zoo clean

venv: $(STAMP)

# What is imported is compiled then: to compile all that is installed takes most of a minute.
$(STAMP): pyproject.toml constraints.txt $(addsuffix /pyproject.toml,$(PLUGINS))
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --no-compile $(PIP_EXTRA) --constraint constraints.txt --editable . $(addprefix --editable ,$(PLUGINS)) --group dev
	touch $@

demo: venv
	$(BIN)/seg demo

# Everything, batteries included.
test: venv
	$(TESTS)

# Plants faults one at a time and says which of them the tests notice. PART=1/4 takes a fixed quarter and the battery,
# TRUSTING=1 says that the tests are known to pass without a fault.
mutants: venv
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutants --json build/mutants.json $(if $(PART),--part $(PART)) $(if $(TRUSTING),--trusting)

# The report and the view in a real browser: needs Chromium.
browser: venv
	$(TESTS) -m browser tests/unit/report tests/unit/view

# The widgets in napari, on no screen: needs `pip install -e '.[napari]'`.
napari: venv
	QT_QPA_PLATFORM=offscreen $(TESTS) -m napari tests/unit/napari

# What to run before every commit.
check: venv
	+$(MAKE) --jobs=2 --output-sync=target lint types contracts
	$(TESTS) -m 'not slow'

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/mypy

contracts: venv
	$(BIN)/lint-imports --no-logo

# The documents as a site, in build/site; a link that leads nowhere is an error.
site: venv
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The pictures of the documents: needs Chromium, and napari for its own.
screenshots: venv
	OMP_NUM_THREADS=1 $(BIN)/python docs/screenshots.py

bench: venv
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q benchmarks

# Memory and time of volumes of up to 1024³: hours, which go on where they were stopped.
bench-large: venv
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/large.py 128 256 512 1024

# The table of peers in docs/speed.md: each gets an environment of its own in build/peers, 6 GB in all, by pip; then ten
# minutes of one core.
bench-peers: venv
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/peers.py --pip-extra "$(PIP_EXTRA)" $(PEERS)

# Needs a GPU, torch for CUDA and CuPy; says so in one sentence where there is none.
bench-gpu: venv
	$(BIN)/python -m pytest -q -s -p no:cacheprovider benchmarks/test_ppp_gpu.py; status=$$?; test $$status = 0 -o $$status = 5

# On a machine with a card, in ten minutes at most: equality with the CPU, windows a second, memory. `make gpu GPU=--dry-run`
# walks the same way without one.
gpu: venv
	$(BIN)/python benchmarks/gpu.py --out build/gpu.json $(GPU)

# The figures of the README, from the models that come with the plugins and the data beside the checkout.
reproduce: venv
	$(BIN)/python -m pytest -q benchmarks/known.py
	$(BIN)/python benchmarks/reproduce.py

# What four minutes of one CPU thread teach each plugin, tuned and judged; a score below its floor is an error.
minutes: venv
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/minutes.py --check

# The tables of docs/auxiliary.md: trainings of hours, which go on where they were stopped.
auxiliary: venv
	$(BIN)/python benchmarks/auxiliary.py all --table 2d
	$(BIN)/python benchmarks/auxiliary.py all --table 3d

# The table of docs/sparse.md: trainings of hours, which go on where they were stopped.
sparse: venv
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/sparse.py all

# The table of docs/correct.md: trainings of five minutes each, which go on where they were stopped.
corrections: venv
	$(BIN)/python benchmarks/corrections.py all
	$(BIN)/python benchmarks/corrections.py all --data mixed

# Packages that others publish give the labels of their own test tensors: downloads a wheel of 34 MB.
zoo: venv
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/zoo.py

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
