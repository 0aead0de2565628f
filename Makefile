# Two commands: `make demo` runs the main job, `make test` the tests. Both do all set-up the first time.
PYTHON ?= python3
EPOCHS ?= 4
PORT ?= 8000
# Processes that run the fast tests; one more than there are cores, because many of the tests wait for a server.
TESTERS ?= 3

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif

FAST := not (tensorflow or browser or docker or ray or slow)

# The tests start programs of this package a few hundred times. Some environments forbid Python to keep what it compiled,
# and then each of those programs compiles the package again, which takes longer than what it is started for.
test test-%: export PYTHONDONTWRITEBYTECODE :=
# Several processes compute at the same time, so each computes with one thread: OpenBLAS' threads wait for each other by
# spinning, which took more than half of the processor's time where matrices are small.
test: export OPENBLAS_NUM_THREADS := 1
test: export OMP_NUM_THREADS := 1

.PHONY: demo test setup serve test-tensorflow test-browser test-slow test-docker test-ray check bench soak notebooks course docs lock clean

demo: setup
	$(BIN)/mlops-lab demo --epochs $(EPOCHS)

# What schemathesis tests is slow, and its plugin would be imported by every worker.
test: setup
	$(BIN)/python -m compileall -q -j 0 mlops_lab
	$(BIN)/python -m pytest -q -p no:schemathesis -m "$(FAST)" -n $(TESTERS) --dist worksteal

# The stamp is newer than the files that say what to install, so a second run takes no time.
setup: .venv/ready
.venv/ready: requirements/lab.txt pyproject.toml
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed, this is ' + sys.version"
	@echo "Setting up .venv, once: about 3.6 GB, of which TensorFlow is half; minutes, by your network and disk."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements/lab.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -c "open('.venv/ready', 'w')"

serve: setup
	$(BIN)/mlops-lab serve --port $(PORT)

test-tensorflow: setup
	$(BIN)/python -m pytest -q -m "tensorflow and not (browser or docker or ray or slow)" -n 2 --dist worksteal

test-browser: setup
	$(BIN)/python -m pytest -q -m "browser"

test-slow: setup
	$(BIN)/python -m pytest -q -m "slow and not (browser or docker or ray)" -n 2 --dist loadfile --timeout 1200 --durations 25

test-docker: setup
	$(BIN)/python -m pytest -q -m "docker" --timeout 1200

test-ray: .venv/ready-ray
	$(BIN)/python -m pytest -q -m "ray" --timeout 600

.venv/ready-ray: .venv/ready requirements/ray.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/ray.txt
	$(BIN)/python -c "open('.venv/ready-ray', 'w')"

# What a change must pass before it is committed.
check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mlops-lab course build --check
	$(BIN)/codespell mlops_lab tests docs tools benchmarks README.md CONTRIBUTING.md CHANGELOG.md

# Speed and memory beside what others reach, as ratios; wrk must be installed. BENCH="--quick --only fastapi" for a part.
bench: setup
	$(BIN)/python benchmarks/bench.py $(BENCH)

# The promises of docs/reliability.md in their long forms: an hour or two. SOAK="--only kills swaps" for some of them.
soak: setup
	$(BIN)/python benchmarks/soak.py $(SOAK)

# Students' notebooks and solutions, from notebooks/src.
notebooks: setup
	$(BIN)/mlops-lab course build

# The course as learners meet it: every notebook answered and unanswered, and where each part of the text is taught.
course: setup
	$(BIN)/mlops-lab course build --check
	$(BIN)/python -m pytest -q --timeout 1200 tests/course tests/notebooks

# The site, with the reference made from the code; a warning is an error. Then open build/docs/index.html. The notebooks are
# run, which takes minutes, where something has changed since their pages were kept in build/pages.
docs: .venv/docs
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs

.venv/docs: .venv/ready requirements/docs.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	$(BIN)/python -c "open('.venv/docs', 'w')"

# Needs uv (pip install uv). The files hold a hash for every wheel of every platform.
lock:
	uv pip compile pyproject.toml --extra dev --extra browser --extra draw --universal --python-version 3.11 --generate-hashes --quiet --no-header -o requirements/lab.txt
	uv pip compile pyproject.toml --extra draw --extra grpc -c requirements/lab.txt --universal --python-version 3.11 --generate-hashes --quiet --no-header -o requirements/student.txt
	uv pip compile requirements/ray.in -c requirements/lab.txt --universal --python-version 3.11 --generate-hashes --quiet --no-header -o requirements/ray.txt
	uv pip compile pyproject.toml --extra dev --extra browser --extra draw --extra docs -c requirements/lab.txt --universal --python-version 3.11 --generate-hashes --quiet --no-header -o requirements/docs.txt
	for name in serve keras sklearn app; do uv pip compile mlops_lab/deploy/requirements/$$name.in --universal --python-version 3.11 --generate-hashes --quiet --no-header -o mlops_lab/deploy/requirements/$$name.txt; done

clean:
	rm -rf .venv demo .pytest_cache .ruff_cache .mypy_cache
