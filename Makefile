# Everything sets itself up; it needs Python with venv, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SECONDS ?= 60
CUTS ?= 3

.PHONY: help docs demo demo-page test test-slow pictures tools services emulator lint deb deb-check machine machine-cuts fuzz faults faults-sample faults-disks fleet-sim demo-fleet demo-fleet-page bench bench-job bench-delta bench-device bench-files bench-fleet lock clean
help:
	@echo "make demo        take a real fix from a vendor to a running program and back"
	@echo "make demo-page   open the Settings page on the demo's device, until Ctrl-C"
	@echo "make demo-fleet  a hundred devices, a bad letter, and what stops it"
	@echo "                 (make demo-fleet-page: and the fleet page at the end, until Ctrl-C)"
	@echo "make test        check format, lint and types, and run the tests"
	@echo "make test-slow   run the tests that take longer"
	@echo "make tools       install the programs that tests run besides Python (Debian, as root)"
	@echo "make services    install the databases and the object store of the fleet's tests"
	@echo "make docs        build the documentation site in build/site"
	@echo "make deb         build a Debian package with units, man pages and shell completion"
	@echo "make deb-check   install, use and purge that package in a fresh Debian 12 (as root)"
	@echo "make fuzz        feed hostile patches to the decoders for a minute (SECONDS=3600: an hour)"
	@echo "make faults      interrupt every operation at every system call (up to an hour;"
	@echo "                 make faults-sample: every twentieth point)"
	@echo "make bench       measure everything, compared with other tools (an hour or two;"
	@echo "                 make bench-job: the main job only, make bench-delta: the patches only,"
	@echo "                 make bench-device: start-up time and disk space only,"
	@echo "                 make bench-files: a component of 100,000 files only)"
	@echo "make bench-fleet   measure the collector with ten million devices, beside goosebit"
	@echo "make fleet-sim   simulate rollouts to ten million devices (some minutes)"
	@echo "make machine     test the package on a machine that boots, with power cuts (CUTS=3)"
	@echo "make machine-cuts   cut the power of that machine a thousand times (CUTS=1000; half an hour)"
	@echo "make clean       remove everything that these targets create"

$(READY): pyproject.toml requirements/dev.txt
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "repoint needs Python 3.11 or newer; run make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/dev.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/python demo/demo.py --wheels .cache/wheels --keep .cache/demo

demo-page: $(READY)
	@$(BIN)/python demo/page.py --wheels .cache/wheels --keep .cache/demo

demo-fleet: $(READY)
	@$(BIN)/python demo/fleet.py

demo-fleet-page: $(READY)
	@$(BIN)/python demo/fleet.py --page

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Compiled first: where Python may write no bytecode, each program that a test starts would compile it.
test: lint
	@$(BIN)/python -m compileall -q src tests
	$(BIN)/pytest -n auto -m "not slow"

# The tests that take too long to run at every commit.
test-slow: $(READY)
	@$(BIN)/python -m compileall -q src tests
	$(BIN)/pytest -n auto -m slow

# Updates the pictures of docs/settings.md and docs/fleet.md.
pictures: $(READY)
	REPOINT_PICTURES=$(CURDIR)/docs/images $(BIN)/pytest -q tests/page -k "journey or a_refused_page or the_owner_sees"
	REPOINT_PICTURES=$(CURDIR)/docs/images REPOINT_PICTURE_DEVICES=48000 \
		$(BIN)/pytest -q tests/fleet/page -k from_a_first_look_to_a_halt

# The programs that tests run besides Python; only root can install them. What is missing is skipped.
TOOLS := chromium cryptsetup-bin dbus erofs-utils groff-base strace systemd
tools:
	@for program in chromium veritysetup dbus-daemon fsck.erofs groff strace systemd-sysext; do \
		command -v $$program >/dev/null && continue; \
		apt-get update -qq && apt-get install -qq --no-install-recommends $(TOOLS) >/dev/null && break; \
		echo "$$program is missing and cannot be installed: the tests that need it are skipped"; break; \
	done

# PostgreSQL from Debian, without a server of its own: the tests start one in a folder of theirs, and
# stop it. The object store, SeaweedFS, comes with .venv. Both are started here once, to see it work.
services: $(READY)
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || { \
		mkdir -p /etc/postgresql-common/createcluster.d; \
		echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.d/repoint.conf; \
		apt-get update -qq && apt-get install -qq --no-install-recommends postgresql-15 >/dev/null; \
	} || echo "PostgreSQL is missing and cannot be installed: the tests that need it are skipped"
	@$(BIN)/python -m tests.fleet

# Fails at the first warning, such as a link to a page or a heading that does not exist.
docs: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	@$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going --builder html docs build/site
	@echo "The site is in build/site/index.html"

fuzz: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tests/fuzz/requirements.txt || true
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

# Needs Linux on x86-64 and permission to trace child processes, but not root.
faults: $(READY)
	@$(BIN)/python -m tests.faults --write

faults-sample: $(READY)
	@$(BIN)/python -m tests.faults --every 20 --tries 1

# Needs root, mkfs.ext4, mkfs.xfs and mkfs.btrfs.
faults-disks: $(READY)
	@$(BIN)/python -m tests.faults.disks --every 6

bench-delta: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@$(BIN)/python -m benchmarks.delta

bench: bench-job bench-delta bench-device bench-files

# The sizes of the Debian package are shown if `make deb` has built it.
bench-device: $(READY)
	@$(BIN)/python -m benchmarks.device

bench-files: $(READY)
	@$(BIN)/python -m benchmarks.files

# Half an hour or more: it fills a database with ten million devices.
bench-fleet: $(READY)
	@$(BIN)/python -m benchmarks.fleet

bench-job: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@$(BIN)/python -m benchmarks --wheels .cache/wheels

# Needs about 3 GiB of memory.
fleet-sim: $(READY)
	@$(BIN)/python -m repoint.fleet.simulation --write docs/benchmarks.md docs/fleet.md

deb: $(READY)
	@$(BIN)/python packaging/deb.py

# Installs the package in a fresh Debian 12, uses it, purges it and compares the files. Needs root.
deb-check: emulator deb
	@$(BIN)/python packaging/check.py $$(ls build/deb/repoint_*.deb | head -1)

# The programs that a booting machine needs besides Python. Only root can install them and create
# a disk image.
EMULATOR := qemu-system-x86 mmdebstrap debian-archive-keyring cryptsetup-bin e2fsprogs debhelper dpkg-dev gcc libc6-dev
emulator:
	@[ "$$(id -u)" = 0 ] || { echo "Not root: the machine cannot be built"; exit 1; }
	@for program in qemu-system-x86_64 mmdebstrap veritysetup mkfs.ext4 dh dpkg-buildpackage gcc; do \
		command -v $$program >/dev/null && continue; \
		apt-get update -qq && apt-get install -qq --no-install-recommends $(EMULATOR) >/dev/null && break; \
		echo "$$program is missing and cannot be installed: the machine cannot be built"; exit 1; \
	done

# Takes about ten minutes on an idle machine.
machine: emulator deb
	@$(BIN)/python -m tests.machine --package $$(ls build/deb/repoint_*.deb | head -1) --cuts $(CUTS)

# Needs mkfs.xfs too.
machine-cuts: CUTS = 1000
machine-cuts: emulator deb
	@$(BIN)/python -m tests.machine.cuts --package $$(ls build/deb/repoint_*.deb | head -1) --cuts $(CUTS) --write

# Updates the versions that CI installs.
lock:
	rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check > requirements/dev.txt
	@touch $(READY)

clean:
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
