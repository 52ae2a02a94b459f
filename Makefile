# libaio-rs: build, install, try out, test.
#
#   make                 build/: libaio.so.1.x.y and its links, libaio.a, libaio.pc
#   make demo            build the library, then build and run the document's C example
#   make check           every test and lint (installs the Debian packages that it needs)
#   make test            the quick part of check, for the inner loop
#   make model           the model checker's part of check
#   make conformance     others' programs and tests on this library (a part of check)
#   make conformance-X   one part of it: abi fuzz faults harness mariadb packages portability programs
#                        sanitizers
#   make compatibility   docs/compatibility.md of what make conformance has seen
#   make bench           ours and Debian's library side by side (half an hour, wants root and quiet)
#   make bench-report    docs/benchmarks.md and .svg of what make bench has measured
#   make install         into $(DESTDIR)$(PREFIX); also install-strip, uninstall
#   make deb             build/deb/*.deb: Debian packages, by debian/
#   make clean
#
# Variables for the command line:
#   PREFIX BINDIR LIBDIR INCLUDEDIR MANDIR PKGCONFIGDIR DESTDIR    where things go
#   SONAME     libaio.so.1 (default), or libaio.so.1t64 for the distributions that renamed it
#   CC CARGO AR OBJCOPY STRIP LDFLAGS                       the tools
#   TARGET     a Rust target triple, to cross-compile (with CC, AR, OBJCOPY to match)

PREFIX       ?= /usr/local
BINDIR       ?= $(PREFIX)/bin
LIBDIR       ?= $(PREFIX)/lib
INCLUDEDIR   ?= $(PREFIX)/include
MANDIR       ?= $(PREFIX)/share/man
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
DESTDIR      ?=
SONAME       ?= libaio.so.1
TARGET       ?=
CC           ?= cc
CARGO        ?= cargo
OBJCOPY      ?= objcopy
STRIP        ?= strip
# The debug information in it is that of the Rust core library, for code that is linked away; to
# keep what CARGO_PROFILE_RELEASE_DEBUG makes, say DEBUGINFO=.
DEBUGINFO    ?= -Wl,--strip-debug
INSTALL      ?= install
BUILD        ?= build

# GNU make takes a space for the end of a name.
ifneq ($(words $(CURDIR) $(BUILD)),2)
$(error the path of this folder has a space in it, which make cannot handle: $(CURDIR))
endif

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
# libaio.so.1 and version 1.2.3 make libaio.so.1.2.3; libaio.so.1t64 makes libaio.so.1t64.2.3.
REALNAME := $(SONAME).$(shell echo $(VERSION) | cut -d. -f2-)
PUBLIC := $(shell sed -n 's/^[[:space:]]*\(io_[a-z0-9_]*\);$$/\1/p' libaio.map)
# The LIBAIO_0.1 forms, by the names that .symver binds (src/capi.rs).
HIDDEN := libaio_0_1_io_cancel libaio_0_1_io_getevents libaio_0_1_io_queue_wait

SHARED := $(BUILD)/$(REALNAME)
STATIC := $(BUILD)/libaio.a
# The folder of this build's own cargo run: its flags differ from a plain `cargo build`.
CORE := $(BUILD)/cargo/$(if $(TARGET),$(TARGET)/)release/libaio.a
SOURCES := $(wildcard src/*.rs src/*/*.rs) Cargo.toml Cargo.lock build.rs
PAGES := $(wildcard man/*.[0-9])
SECTIONS := 1 3
# The names that programs know the library by. with-libaio-rs has them look in a folder of these.
NAMES := libaio.so libaio.so.1 libaio.so.1t64
LINKS := $(BUILD)/libaio-rs

.DELETE_ON_ERROR:
.PHONY: all demo check model conformance conformance-but-fuzz conformance-fuzz compatibility test \
    bench bench-report lint install install-strip uninstall deb clean FORCE

all: $(SHARED) $(BUILD)/libaio.so $(LINKS)/libaio.so $(STATIC) $(BUILD)/libaio.pc \
    $(BUILD)/libaio-uninstalled.pc $(BUILD)/with-libaio-rs

# ---- the library ------------------------------------------------------------------------------

# With frame pointers the tables for unwinding are smaller by more than the code is larger, and perf can follow
# the callers. With a little more inlining than where only size counts, the code is smaller, too; and without the
# passes that keep addresses and constants in registers, which costs more in saving registers than it saves.
SMALL := -inline-threshold=10 -disable-machine-cse -disable-machine-licm -split-spill-mode=size \
    -disable-constant-hoisting -enable-pre=false -inline-call-penalty=30 -tail-merge-size=2 \
    -disable-licm-promotion
$(CORE): $(SOURCES) Makefile
	$(CARGO) rustc --release --locked --lib --crate-type staticlib --target-dir $(BUILD)/cargo \
	    $(if $(TARGET),--target $(TARGET)) -- --cfg libaio_symver -C force-frame-pointers=yes \
	    $(SMALL:%=-C llvm-args=%)
	@touch $@

# GNU ld begins the code, and what comes after it, on pages of their own, which is up to 8 KiB of padding in
# the file, an eighth of all; other linkers need no telling, or do not understand this.
COMPACT = $(shell $(CC) -shared -nostdlib $(LDFLAGS) -Wl,-z,noseparate-code -x c /dev/null \
    -o $(BUILD)/compact.so 2>/dev/null && echo -Wl,-z,noseparate-code; rm -f $(BUILD)/compact.so)

# rustc's own linking of a cdylib leaves no room for symbol versions (it brings a version script of
# its own), so the C compiler links the shared library from the static one.
$(SHARED): $(CORE) libaio.map $(BUILD)/soname
	$(CC) -shared -nostartfiles $(LDFLAGS) -o $@ \
	    $(PUBLIC:%=-Wl,-u,%) $(HIDDEN:%=-Wl,-u,%) $(CORE) -Wl,--gc-sections \
	    -Wl,-soname,$(SONAME) -Wl,--version-script=libaio.map \
	    -Wl,-z,relro,-z,now,-z,nodelete -Wl,-z,noexecstack -Wl,-z,text -Wl,-z,defs \
	    $(COMPACT) $(DEBUGINFO)

# Rebuilds the links when another SONAME is asked for.
$(BUILD)/soname: FORCE
	@mkdir -p $(BUILD)
	@if [ "$$(cat $@ 2>/dev/null)" != '$(SONAME)' ]; then \
	    rm -f $(BUILD)/libaio.so*; echo '$(SONAME)' > $@; fi

$(BUILD)/libaio.so: $(SHARED)
	ln -sf $(REALNAME) $(BUILD)/$(SONAME)
	ln -sf $(REALNAME) $@

$(LINKS)/libaio.so: $(SHARED)
	@mkdir -p $(LINKS)
	for name in $(NAMES); do ln -sf ../$(REALNAME) $(LINKS)/$$name; done

# One object in which only the public names are global: nothing of Rust's runtime is left to meet
# another Rust library's in the same program.
$(STATIC): $(CORE) libaio.map
	$(CC) -r -nostdlib -o $(BUILD)/libaio.o -Wl,--gc-sections $(PUBLIC:%=-Wl,-u,%) $(CORE)
	$(OBJCOPY) $(PUBLIC:%=--keep-global-symbol=%) --strip-unneeded \
	    --remove-section=.llvmbc --remove-section=.llvmcmd --remove-section=.comment $(BUILD)/libaio.o
	rm -f $@
	$(AR) rcsD $@ $(BUILD)/libaio.o

$(BUILD)/libaio.pc: libaio.pc.in Cargo.toml FORCE
	@mkdir -p $(BUILD)
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	    -e 's|@LIBDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(LIBDIR))|' \
	    -e 's|@INCLUDEDIR@|$(patsubst $(PREFIX)/%,$${prefix}/%,$(INCLUDEDIR))|' \
	    libaio.pc.in > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# For programs built against this folder: pkg-config prefers it to libaio.pc beside it.
$(BUILD)/libaio-uninstalled.pc: libaio.pc.in Cargo.toml FORCE
	@mkdir -p $(BUILD)
	@sed -e 's|@PREFIX@|$${pcfiledir}|' -e 's|@VERSION@|$(VERSION)|' \
	    -e 's|@LIBDIR@|$${pcfiledir}|' -e 's|@INCLUDEDIR@|$(CURDIR)/include|' \
	    libaio.pc.in > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/with-libaio-rs: scripts/with-libaio-rs Cargo.toml FORCE
	@mkdir -p $(BUILD)
	@sed -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
	    scripts/with-libaio-rs > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# ---- try, test --------------------------------------------------------------------------------

demo: all
	@scripts/need pkg-config:pkg-config
	@CC='$(CC)' scripts/demo $(abspath $(BUILD))

# What the tests and lints run beside Rust, a C compiler and make.
TEST_TOOLS := pkg-config:pkg-config /usr/include/libaio.h:libaio-dev python3:python3 g++:g++ \
    clang:clang clang++:clang unshare:util-linux mount:mount /sbin/mkfs.ext4:e2fsprogs strace:strace \
    valgrind:valgrind /usr/share/doc/libc6-dbg:libc6-dbg busybox:busybox
HEADER_TARGETS := /usr/i686-linux-gnu/include:libc6-dev-i386-cross \
    /usr/powerpc-linux-gnu/include:libc6-dev-powerpc-cross \
    /usr/s390x-linux-gnu/include:libc6-dev-s390x-cross
PROGRAMS := fio:fio qemu-img:qemu-utils
DEB_TOOLS := dh:debhelper dpkg-buildpackage:dpkg-dev lintian:lintian \
    /usr/share/build-essential:build-essential
LINT_TOOLS := clang-format:clang-format shellcheck:shellcheck mandoc:mandoc black:black flake8:flake8

QUICK := $(addprefix --test ,artefacts c_tests docs example header install interruption launcher \
    probes python ring stats uring)
PYTHON_SOURCES := $(wildcard conformance/*.py c-tests/*.py) scripts/bench-programs scripts/bench-report \
    $(wildcard scripts/benchmarks/*.py)
C_SOURCES := $(filter-out c-tests/example.c,$(wildcard include/*.h benches/*.c c-tests/*.[ch] c-tests/*/*.[ch] conformance/*.[ch]))

# Of the instructions that a signal handler may come in at, one in five is tried, in check one in two
# (c-tests/step.h).
test: all
	@scripts/need $(TEST_TOOLS) $(HEADER_TARGETS)
	STEP_BY=5 $(CARGO) test --locked --quiet --lib $(QUICK)

# cargo's tests have the fuzzing among them.
check: all
	@scripts/need $(TEST_TOOLS) $(HEADER_TARGETS) $(PROGRAMS) $(LINT_TOOLS) $(NEED_conformance)
	$(MAKE) lint
	$(MAKE) model
	STEP_BY=2 $(CARGO) test --locked --quiet
	$(MAKE) conformance-but-fuzz
	$(MAKE) demo

# The exclusion and the reap in every interleaving that loom finds (src/model.rs).
model:
	RUSTFLAGS='--cfg loom' $(CARGO) test --locked --quiet --release --lib \
	    --target-dir $(BUILD)/loom model

# ---- conformance ------------------------------------------------------------------------------

# What each part runs beside TEST_TOOLS. A part is a file conformance/test_NAME.py, but for fuzz, which
# is tests/differential/.
PYTEST := pytest-3:python3-pytest
PYTHON_PARTS := abi faults harness mariadb packages portability programs sanitizers
NEED_abi := abidiff:abigail-tools
NEED_faults := losetup:mount prlimit:util-linux /sbin/mkfs.ext4:e2fsprogs strace:strace
NEED_harness := dpkg-source:dpkg-dev /sbin/mkfs.ext2:e2fsprogs losetup:mount
NEED_portability := $(foreach a,i686 aarch64 s390x powerpc,$(a)-linux-gnu-gcc:gcc-$(a)-linux-gnu) \
    $(HEADER_TARGETS) /usr/aarch64-linux-gnu/include/asm:libc6-dev-arm64-cross qemu-s390x:qemu-user
NEED_mariadb := mariadbd:mariadb-server-core mariadb:mariadb-client-core sysbench:sysbench
NEED_packages := $(DEB_TOOLS) debootstrap:debootstrap fio:fio
NEED_programs := fio:fio qemu-img:qemu-utils sysbench:sysbench stressapptest:stressapptest vgcreate:lvm2 \
    /usr/share/doc/python3-venv:python3-venv losetup:mount
NEED_sanitizers := valgrind:valgrind

NEED_conformance := $(PYTEST) $(foreach part,$(PYTHON_PARTS),$(NEED_$(part)))

conformance: conformance-fuzz conformance-but-fuzz

conformance-but-fuzz: all
	@scripts/need $(TEST_TOOLS) $(NEED_conformance)
	@rm -rf $(BUILD)/conformance/matrix  # rows of tests that there are no more
	pytest-3 conformance

# FUZZ_SECONDS for hours of it, FUZZ_SEED=random for others than the seeded sequences.
conformance-fuzz: all
	@scripts/need $(TEST_TOOLS)
	$(CARGO) test --locked --quiet --test differential

# K: the tests of a part that have this in their names.
$(PYTHON_PARTS:%=conformance-%): conformance-%: all
	@scripts/need $(TEST_TOOLS) $(PYTEST) $(NEED_$*)
	pytest-3 conformance/test_$*.py $(if $(K),-k '$(K)')

# Of the last run of each part, on whatever machine that was: run all of them first.
compatibility:
	conformance/compatibility.py

# ---- benchmarks -------------------------------------------------------------------------------

# ONLY=io_uring: of both, what is about the io_uring engine.

bench: all
	@scripts/need /usr/include/libaio.h:libaio-dev fio:fio python3:python3 losetup:mount \
	    fincore:util-linux
	$(CARGO) bench --locked --bench libaio $(if $(ONLY),-- '$(ONLY): ')
	scripts/bench-programs $(if $(ONLY),--only $(ONLY))

bench-report:
	scripts/bench-report $(if $(ONLY),--only $(ONLY))

lint:
	@scripts/need $(LINT_TOOLS)
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --quiet --all-targets -- -D warnings
	clang-format --dry-run --Werror $(C_SOURCES)
	shellcheck scripts/need scripts/demo scripts/with-libaio-rs .ci/run
	mandoc -T lint $(PAGES)
	black --quiet --check $(PYTHON_SOURCES)
	flake8 $(PYTHON_SOURCES)

# ---- install ----------------------------------------------------------------------------------

# What install writes to; and where it lists what of that, and above, it has had to make.
FOLDERS = "$(LIBDIR)/libaio-rs" "$(PKGCONFIGDIR)" "$(INCLUDEDIR)" "$(BINDIR)" $(SECTIONS:%="$(MANDIR)/man%")
MADE = $(LIBDIR)/libaio-rs.folders

install: all
	made=; \
	for folder in $(FOLDERS); do \
	    parent=$$folder; \
	    while [ -z "$(DESTDIR)" ] && ! [ -d "$$parent" ]; do \
	        made="$$made$$parent:"; parent=$$(dirname "$$parent"); done; \
	    $(INSTALL) -d "$(DESTDIR)$$folder" || exit; \
	done; \
	[ -z "$$made" ] || printf %s "$$made" | tr : '\n' >> "$(MADE)"
	$(INSTALL) -m 755 $(SHARED) "$(DESTDIR)$(LIBDIR)/$(REALNAME)"
	ln -sf $(REALNAME) "$(DESTDIR)$(LIBDIR)/$(SONAME)"
	ln -sf $(REALNAME) "$(DESTDIR)$(LIBDIR)/libaio.so"
	for name in $(NAMES); do \
	    ln -sf ../$(REALNAME) "$(DESTDIR)$(LIBDIR)/libaio-rs/$$name" || exit; done
	$(INSTALL) -m 755 $(BUILD)/with-libaio-rs "$(DESTDIR)$(BINDIR)/with-libaio-rs"
	$(INSTALL) -m 644 $(STATIC) "$(DESTDIR)$(LIBDIR)/libaio.a"
	$(INSTALL) -m 644 include/libaio.h "$(DESTDIR)$(INCLUDEDIR)/libaio.h"
	$(INSTALL) -m 644 $(BUILD)/libaio.pc "$(DESTDIR)$(PKGCONFIGDIR)/libaio.pc"
	for section in $(SECTIONS); do \
	    $(INSTALL) -m 644 man/*.$$section "$(DESTDIR)$(MANDIR)/man$$section" || exit; done

install-strip: install
	$(STRIP) --strip-unneeded "$(DESTDIR)$(LIBDIR)/$(REALNAME)"

# Folders go that install has made, where they are empty: in a DESTDIR, all of them.
uninstall:
	rm -f "$(DESTDIR)$(LIBDIR)/$(REALNAME)" "$(DESTDIR)$(LIBDIR)/$(SONAME)" \
	    "$(DESTDIR)$(LIBDIR)/libaio.so" "$(DESTDIR)$(LIBDIR)/libaio.a" \
	    $(NAMES:%="$(DESTDIR)$(LIBDIR)/libaio-rs/%") "$(DESTDIR)$(BINDIR)/with-libaio-rs" \
	    "$(DESTDIR)$(INCLUDEDIR)/libaio.h" "$(DESTDIR)$(PKGCONFIGDIR)/libaio.pc"
	for section in $(SECTIONS); do for page in $(PAGES:man/%=%); do \
	    rm -f "$(DESTDIR)$(MANDIR)/man$$section/$$page"; done; done
	if [ -z "$(DESTDIR)" ] && [ -f "$(MADE)" ]; then \
	    made=$$(sort -r "$(MADE)") && rm "$(MADE)" && \
	    printf '%s\n' "$$made" | while IFS= read -r folder; do \
	        if [ -d "$$folder" ]; then rmdir --ignore-fail-on-non-empty "$$folder" || exit; fi; done; \
	fi
	if [ -d "$(DESTDIR)$(LIBDIR)/libaio-rs" ]; then \
	    rmdir --ignore-fail-on-non-empty "$(DESTDIR)$(LIBDIR)/libaio-rs"; fi
	if [ -n "$(DESTDIR)" ] && cd "$(DESTDIR)"; then \
	    for folder in $(FOLDERS) "$(LIBDIR)"; do \
	        if [ -d ".$$folder" ]; then \
	            rmdir -p --ignore-fail-on-non-empty ".$$folder" 2>&1 | grep -v "'\.'" ; \
	        fi; \
	    done; true; \
	fi

# ---- Debian packages --------------------------------------------------------------------------

# The folder that dpkg-buildpackage works in; what it makes is beside it.
DEB := $(BUILD)/deb/libaio-rs-$(VERSION)

# Of a copy, whose files are as old as the changelog: the same source gives the same packages.
deb:
	@scripts/need $(DEB_TOOLS)
	rm -rf $(BUILD)/deb
	mkdir -p $(DEB)
	tar -c --exclude-vcs --exclude=./$(BUILD) --exclude=./build --exclude=./target \
	    --mtime="$$(dpkg-parsechangelog -S Date)" . | tar -x -C $(DEB)
	cd $(DEB) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS dpkg-buildpackage --build=binary --no-sign --no-pre-clean
	lintian --allow-root --profile debian --fail-on error,warning --display-info $(BUILD)/deb/*.changes
	@ls $(BUILD)/deb/*.deb

clean:
	rm -rf $(BUILD)
	$(CARGO) clean --quiet
