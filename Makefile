# Everything sets itself up: Python with venv, make and the package index are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SECONDS ?= 60
CUTS ?= 3

.PHONY: help docs demo demo-page test test-slow pictures browser emulator lint deb machine machine-cuts fuzz faults faults-sample faults-disks bench bench-job bench-delta lock clean
help:
	@echo "make demo    the main job on real input, from a vendor to a running program and back"
	@echo "make demo-page   the Settings page on what the demo made, left open until Ctrl-C"
	@echo "make test    formatting, types and tests"
	@echo "make test-slow   the tests that take longer"
	@echo "make fuzz    hostile patches against the decoders, a minute of them (SECONDS=3600 for an hour)"
	@echo "make faults  every operation killed, failed and cut from power at every point, an hour"
	@echo "             make faults-sample for a twentieth of that"
	@echo "make bench   all benchmarks, side by side with what people use today, an hour or two:"
	@echo "             make bench-job for the main job alone (two minutes), make bench-delta for the patches"
	@echo "make docs    the documentation site, in build/site"
	@echo "make deb     a Debian package with units, man pages and shell completion"
	@echo "make machine  the package on a machine that really boots, and power cuts (CUTS=3)"
	@echo "make machine-cuts  power cuts on it by the thousand (CUTS=1000), half an hour"
	@echo "make clean   remove what the above have made"

$(READY): pyproject.toml requirements/dev.txt
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "repoint needs Python 3.11 or newer; say make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/dev.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/python demo/demo.py --wheels .cache/wheels --keep .cache/demo

demo-page: $(READY)
	@$(BIN)/python demo/page.py --wheels .cache/wheels --keep .cache/demo

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n auto -m "not slow"

# What takes too long to run at every commit.
test-slow: $(READY)
	$(BIN)/pytest -n auto -m slow

# Draws the pictures of docs/settings.md anew.
pictures: $(READY)
	REPOINT_PICTURES=$(CURDIR)/docs/images $(BIN)/pytest -q tests/page -k "journey or refused_says"

# What the tests of the Settings page need beside Python; only root can install it.
browser:
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -qq --no-install-recommends chromium >/dev/null; } \
		|| echo "No chromium, and no right to install it: the tests of the Settings page in a browser are skipped"

# Fails at the first warning, such as a link to a page or a heading that does not exist.
docs: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	@$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going --builder html docs build/site
	@echo "The site is in build/site/index.html"

fuzz: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/fuzz/requirements.txt || true
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

# Linux on x86-64; needs the right to trace one's own children, but not root.
faults: $(READY)
	@$(BIN)/python -m tests.faults --write

faults-sample: $(READY)
	@$(BIN)/python -m tests.faults --every 20 --tries 1

# As root, with mkfs.ext4, mkfs.xfs and mkfs.btrfs.
faults-disks: $(READY)
	@$(BIN)/python -m tests.faults.disks --every 6

bench-delta: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@$(BIN)/python -m benchmarks.delta

bench: bench-job bench-delta

bench-job: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@$(BIN)/python -m benchmarks --wheels .cache/wheels

deb: $(READY)
	@$(BIN)/python packaging/deb.py

# What a machine that boots needs beside Python; only root can install it, and make a disk image.
EMULATOR := qemu-system-x86 mmdebstrap debian-archive-keyring cryptsetup-bin e2fsprogs debhelper dpkg-dev gcc libc6-dev
emulator:
	@[ "$$(id -u)" = 0 ] || { echo "Not root: no machine is made that boots"; exit 1; }
	@for program in qemu-system-x86_64 mmdebstrap veritysetup mkfs.ext4 dh dpkg-buildpackage gcc; do \
		command -v $$program >/dev/null && continue; \
		apt-get update -qq && apt-get install -qq --no-install-recommends $(EMULATOR) >/dev/null && break; \
		echo "No $$program, and it cannot be installed: no machine is made that boots"; exit 1; \
	done

# About ten minutes where nothing else runs.
machine: emulator deb
	@$(BIN)/python -m tests.machine --package $$(ls build/deb/repoint_*.deb | head -1) --cuts $(CUTS)

# With mkfs.xfs besides.
machine-cuts: CUTS = 1000
machine-cuts: emulator deb
	@$(BIN)/python -m tests.machine.cuts --package $$(ls build/deb/repoint_*.deb | head -1) --cuts $(CUTS) --write

# Renews the versions that CI installs.
lock:
	rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check > requirements/dev.txt
	@touch $(READY)

clean:
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
