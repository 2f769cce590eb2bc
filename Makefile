# Hutch's commands. `make demo` runs it, `make test` proves it, `make check` is the fast loop.

SHELL := /bin/bash
GO ?= go
MODULE = github.com/hutch-project/hutch
export CGO_ENABLED := 0

TAGS := urfave_cli_no_docs,urfave_cli_no_suggest
VERSION := $(shell sed -n 's/^const version = "\(.*\)"/\1/p' main.go)
# The commit and the seconds of its time, in an archive of the source, too.
SOURCE := $(shell dist/commit)
COMMIT := $(word 1,$(SOURCE))
SOURCE_DATE_EPOCH ?= $(word 2,$(SOURCE))
LDFLAGS := -s -w -X main.commit=$(COMMIT)
ARCHES := amd64 arm64 arm 386 riscv64 ppc64le s390x loong64
STATICCHECK := bin/staticcheck-0.8.2
NFPM := bin/nfpm-2.43.0
FUZZTIME ?= 10s
CONTAINERD := v2.1.4
MOBY := v2.0.0-beta.24
BUILDKIT := v0.34.2
RUNTIME ?= $(CURDIR)/hutch
BOX := $(CURDIR)/bin/box
# What `make test` has go test print, to know of each test, and its form of the phases: a part of
# what is tried in many ways.
JSON ?=
SHORT ?=

# Where install puts things; DESTDIR goes before it, for packages.
PREFIX ?= /usr/local
BINARY ?= hutch
BINDIR := $(DESTDIR)$(PREFIX)/bin
DOCDIR := $(DESTDIR)$(PREFIX)/share/doc/hutch
MANDIR := $(DESTDIR)$(PREFIX)/share/man/man8
BASHDIR := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSHDIR := $(DESTDIR)$(PREFIX)/share/zsh/site-functions
FISHDIR := $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d

.PHONY: build install uninstall man demo check test test-all unit integration integration-user surroundings surroundings-quick conformance cri engines engines-current tutorial vm vm-build vm-systemd vm-v2 vm-hybrid vm-checkpoint vm-arm64 vm-s390x vm-kernels vm-engines vm-security vm-user peers \
	bench bench-quick bench-vm fuzz fuzz-build fuzz-build-quick mutants mutants-quick clean \
	dist dist-test notices fmt vet lint floors types plain cross cross-quick hello-bundle test-deps box bin/box containerd

# build leaves out what Go would write of the repository: an archive of the source has
# none, and makes the same binary.
build:
	$(GO) build -trimpath -buildvcs=false -tags $(TAGS) -ldflags "$(LDFLAGS)" -o $(BINARY) .

# install takes the binary that is there, so that root needs no Go.
$(BINARY):
	$(MAKE) build

install: $(BINARY)
	install -D -m 755 $(BINARY) $(BINDIR)/hutch
	install -D -m 644 -t $(MANDIR) man/*.8
	install -D -m 644 internal/cli/completion/bash $(BASHDIR)/hutch
	install -D -m 644 internal/cli/completion/zsh $(ZSHDIR)/_hutch
	install -D -m 644 internal/cli/completion/fish $(FISHDIR)/hutch.fish
	install -D -m 644 -t $(DOCDIR) LICENSE THIRD_PARTY_NOTICES

uninstall:
	rm -f $(DOCDIR)/LICENSE $(DOCDIR)/THIRD_PARTY_NOTICES
	-rmdir $(DOCDIR)
	rm -f $(BINDIR)/hutch $(MANDIR)/hutch.8 $(MANDIR)/hutch-*.8 $(BASHDIR)/hutch $(ZSHDIR)/_hutch $(FISHDIR)/hutch.fish

# man writes the manual pages anew, from the table of commands and man/text.
man:
	$(GO) test -tags $(TAGS) -run TestManualPages . -update

# notices writes the licences of what the binary is linked of.
notices: build
	$(GO) run ./dist -go $(GO) -notices ./hutch >THIRD_PARTY_NOTICES.new
	mv THIRD_PARTY_NOTICES.new THIRD_PARTY_NOTICES

# dist makes what is released, in bin/dist: archives, debs, rpms, bills of materials, sums;
# ARCHES="amd64 arm64" makes some of them. Twice the same source makes twice the same.
DISTDIR ?= bin/dist
dist: $(NFPM)
	$(GO) run ./dist -go $(GO) -nfpm $(NFPM) -out $(DISTDIR) -version $(VERSION) -commit $(COMMIT) \
		$(if $(SOURCE_DATE_EPOCH),-epoch $(SOURCE_DATE_EPOCH)) $(ARCHES)

$(NFPM):
	@mkdir -p bin/tools
	GOBIN=$(CURDIR)/bin/tools $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
	@mv bin/tools/nfpm $@

# dist-test makes the packages of this machine's architecture twice, compares them, installs
# them in a root of their own, runs a container with them, and takes them away.
dist-test: $(NFPM) box
	$(GO) test $(JSON) -exec $(BOX) -tags $(TAGS) -count=1 -timeout 5m ./tests/dist

# The default bundle: config.json and rootfs/hello.
hello-bundle bin/hello-bundle:
	examples/hello/make-bundle bin/hello-bundle

# demo runs the default bundle, in a state directory of its own. It needs root.
demo: build hello-bundle
	@[ "$$(id -u)" = 0 ] || { echo "make demo: a container with host ids needs root" >&2; exit 1; }
	@root=$$(mktemp -d) && trap 'rm -rf "$$root"' EXIT && \
		echo "+ hutch run --bundle bin/hello-bundle demo" && \
		./hutch --root "$$root" run --bundle bin/hello-bundle "demo-$$$$"

# check is the fast loop; nothing in it needs root, what needs it skips.
check: fmt vet lint unit fuzz-build types cross

fmt:
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "gofmt these:"; echo "$$bad"; exit 1; }

vet:
	$(GO) vet -tags $(TAGS) ./...

# SA1019 is off: a runtime reads the specification's deprecated fields too. go.mod has what is
# imported, and no more.
lint: $(STATICCHECK)
	$(GO) mod tidy -diff
	$(STATICCHECK) -checks inherit,-SA1019 -tags $(TAGS) ./...

$(STATICCHECK):
	@mkdir -p bin/tools
	GOBIN=$(CURDIR)/bin/tools $(GO) install honnef.co/go/tools/cmd/staticcheck@v0.8.2
	@mv bin/tools/staticcheck $@

floors:
	$(GO) test -tags $(TAGS) ./internal/layers

# box is what test binaries run in: nothing of them hangs, and nothing is left.
box bin/box:
	$(GO) build -trimpath -o bin/box ./tests/box

# unit runs every package's own tests; as root also those that need it. Those of
# the register of defences, of the box and of the tools below are among them.
unit: box
	$(GO) test $(JSON) $(SHORT) -vet=off -exec $(BOX) -tags $(TAGS) -ldflags "-s -w" -shuffle=on -timeout 20m $$($(GO) list ./... | grep -v '^$(MODULE)/tests/') ./tests/mutants ./tests/box ./tests/all ./tests/typecheck ./tests/testplain

# cross links the binary for every architecture, which proves the nosplit frames; cross-quick
# for one of each kind, which has a frame of its own: 32 bits, a link register, big-endian.
cross-quick:
	$(MAKE) --no-print-directory cross ARCHES="386 arm64 ppc64le s390x"
cross:
	@mkdir -p bin/cross
	@for arch in $(ARCHES); do \
		echo "cross $$arch"; \
		GOARCH=$$arch $(GO) build -tags $(TAGS) -ldflags "-s -w" -o bin/cross/hutch-$$arch . || exit 1; \
	done

# types looks at all packages and tests as each other architecture has them, by a type-check
# that compiles nothing.
types:
	$(GO) run ./tests/typecheck -tags $(TAGS) $(filter-out amd64,$(ARCHES))

test-deps:
	SHORT=$(SHORT) tests/install

# test is everything in its short form, by the phases of tests/all: a part of what is tried in
# many ways, no engines, and two virtual machines. test-all is all of it. They need root:
# containers with host ids, mounts, cgroups.
test:
	$(GO) run ./tests/all -short
test-all:
	$(GO) run ./tests/all

# mutants takes each defence of tests/mutants/register.txt out and fails unless its
# tests notice; MUTANTS=pattern picks some, mutants-quick a dozen that take seconds.
mutants:
	$(GO) run ./tests/mutants '$(MUTANTS)'

mutants-quick:
	$(GO) run ./tests/mutants -quick

# integration drives the binary that RUNTIME names, as an engine would.
integration: build box
	RUNTIME=$(RUNTIME) $(GO) test $(JSON) $(SHORT) -exec $(BOX) -tags $(TAGS) -count=1 -timeout 30m ./tests/integration

# integration-user does the same as a user without privilege, who has subordinate ids and
# delegated cgroups: not-as-user.txt beside the tests has what does not apply, and why.
integration-user: build box
	CALLER=user RUNTIME=$(RUNTIME) $(GO) test $(JSON) -exec $(BOX) -tags $(TAGS) -count=1 -timeout 30m ./tests/integration

# plain builds without what is done for speed alone (docs/decisions, from 0005 on), and
# runs the tests of what differs then: PLAIN=pattern picks those that drive the binary.
PLAIN ?= TestCreateStart|TestRun|TestExec|TestKill|TestDelete|TestSignals|TestHook|TestMasks|TestTerminal
plain: box
	$(GO) build -trimpath -tags $(TAGS),plain -ldflags "$(LDFLAGS)" -o bin/hutch-plain .
	$(GO) test -exec $(BOX) -tags $(TAGS),plain ./internal/program/... ./internal/sigaction ./internal/part/terminal ./internal/life
	RUNTIME=$(CURDIR)/bin/hutch-plain $(GO) test $(JSON) -exec $(BOX) -tags $(TAGS) -count=1 -timeout 30m ./tests/integration -run '$(PLAIN)'

# surroundings runs a part of the tests, and a container's life, under some three dozen
# odd callers: SURROUNDINGS=pattern picks some of them, surroundings-quick one of a kind.
surroundings: build
	$(GO) run ./tests/surroundings -hutch $(RUNTIME) -run '$(SURROUNDINGS)'

surroundings-quick: build
	$(GO) run ./tests/surroundings -hutch $(RUNTIME) -run 'all signals ignored|odd env|input closed$(if $(SHORT),,|umask 077|others mount)'

# conformance runs OCI runtime-tools' validation programs on RUNTIME.
conformance: build box
	RUNTIME=$(RUNTIME) $(GO) test $(JSON) -exec $(BOX) -tags $(TAGS) -count=1 -timeout 15m -v ./tests/conformance

# tutorial runs the commands of docs/tutorial.md and docs/concepts.md, compares what they print,
# and runs examples/embed.
tutorial: build box
	RUNTIME=$(RUNTIME) $(GO) test $(JSON) -exec $(BOX) -tags $(TAGS) -count=1 -timeout 5m ./tests/tutorial

# containerd 2 is left out, by name, where the module proxy does not give it.
containerd:
	tests/engines/build-module bin/containerd-$(CONTAINERD) no_btrfs,no_devmapper,no_zfs,no_aufs,osusergo,netgo github.com/containerd/containerd/v2@$(CONTAINERD) \
		./cmd/containerd ./cmd/containerd-shim-runc-v2 ./cmd/ctr || echo "engines: no containerd $(CONTAINERD)"

# bin/cri is a client of Kubernetes' interface to engines, in a module of its own.
cri bin/cri:
	cd tests/cri && CGO_ENABLED=0 $(GO) build -trimpath -o ../../bin/cri .

# engines runs Docker, Podman, Buildah and containerd, by ctr and as Kubernetes does, on RUNTIME.
engines: build box containerd cri
	RUNTIME=$(RUNTIME) CRI=$(CURDIR)/bin/cri CONTAINERD=$(CURDIR)/bin/containerd-$(CONTAINERD) $(GO) test $(JSON) -exec $(BOX) -tags $(TAGS) -count=1 -failfast -timeout 30m -v ./tests/engines | grep -v '^=== '; exit $${PIPESTATUS[0]}

# engines-current runs the scenarios on a current Docker and BuildKit, which the module proxy
# gives; making them takes longer than all engines take.
engines-current: build box containerd
	tests/engines/build-module bin/dockerd-$(MOBY) exclude_graphdriver_btrfs github.com/moby/moby/v2@$(MOBY) ./cmd/docker-proxy ./cmd/dockerd
	tests/engines/build-module bin/buildkit-$(BUILDKIT) "" github.com/moby/buildkit@$(BUILDKIT) ./cmd/buildctl ./cmd/buildkitd
	RUNTIME=$(RUNTIME) CONTAINERD=$(CURDIR)/bin/containerd-$(CONTAINERD) DOCKERD=$(CURDIR)/bin/dockerd-$(MOBY) BUILDKIT=$(CURDIR)/bin/buildkit-$(BUILDKIT) \
		$(GO) test -exec $(BOX) -tags $(TAGS) -count=1 -failfast -timeout 30m -v -run '^Test(DockerCurrent|BuildKit|RootlessBuildKit)$$' ./tests/engines

# vm runs the same on other hierarchies of cgroups and under systemd, in virtual machines.
vm: build
	RUNTIME=$(RUNTIME) GO=$(GO) tests/vm/suite

# The same in parts of about the same length, for tests/all.
vm-build: build
	GO=$(GO) SHORT=$(SHORT) tests/vm/suite build
vm-systemd vm-v2 vm-hybrid vm-checkpoint:
	RUNTIME=$(RUNTIME) GO=$(GO) SHORT=$(SHORT) tests/vm/suite $(@:vm-%=%)

# These are not part of test: the integration tests' core on other architectures and with
# other kernels, the oldest that packages give and the newest, and all hostile tests.
KERNELS ?= 5.13 5.15 6.0 6.12 7

vm-arm64 vm-s390x:
	tests/install qemu-system-aarch64:qemu-system-arm qemu-system-s390x:qemu-system-misc
	GO=$(GO) tests/vm/suite arch $(@:vm-%=%)

vm-kernels: build
	RUNTIME=$(RUNTIME) GO=$(GO) tests/vm/suite kernel $(KERNELS)

# vm-engines runs Docker, Podman and containerd on cgroup v2, with systemd's driver and without,
# and has them checkpoint and restore containers in all ways. It is no part of test: it takes half
# an hour on two idle processors, since engines are slow under emulation.
vm-engines: build containerd cri
	RUNTIME=$(RUNTIME) GO=$(GO) CONTAINERD=$(CURDIR)/bin/containerd-$(CONTAINERD) tests/vm/suite engines

vm-security vm-user: build
	RUNTIME=$(RUNTIME) GO=$(GO) tests/vm/suite $(@:vm-%=%)

# peers runs the test suites of runc and crun on RUNTIME, as root and as users: docs/peers.md.
# Its failures need a reader, so that it is no part of test.
peers: build box
	GO=$(GO) tests/peers/run --runtime $(RUNTIME)

# bench-vm compares in the virtual machine, where crun can make its cgroups, in two minutes.
bench-vm: build bin/bench/bench bin/bench/floor
	tests/vm/run --timeout 1200 env HOME=/root BENCH_PEERS=$$(command -v crun) bin/bench/bench -quick -hutch ./hutch -floor bin/bench/floor

# bench compares with the packaged runc and crun, and with the bare system calls,
# in one run, which takes some minutes; bench-quick takes less than one. BENCH_PEERS
# adds runtimes: PATH:PATH.
bench: build bin/bench/bench bin/bench/floor
	bin/bench/bench -hutch ./hutch -floor bin/bench/floor -out bench

bench-quick: build bin/bench/bench bin/bench/floor
	bin/bench/bench -quick -hutch ./hutch -floor bin/bench/floor

bin/bench/floor: bench/floor/floor.c
	@mkdir -p bin/bench
	gcc -O2 -static -Wall -o $@ $<

.PHONY: bin/bench/bench
bin/bench/bench:
	$(GO) build -trimpath -o $@ ./bench

# FUZZED are the packages with fuzz targets.
FUZZED = $(sort $(patsubst %/,./%,$(dir $(shell grep -rl --include='*_test.go' '^func Fuzz' internal))))

# fuzz-build builds all fuzz targets with the instrumentation that fuzzing gives
# them, which needs more stack than the plain build; fuzz-build-quick those of the
# package on top, which has all code in it whose stack is bounded.
fuzz-build-quick:
	$(MAKE) --no-print-directory fuzz-build FUZZED=./internal/life
fuzz-build:
	@for pkg in $(FUZZED); do \
		$(GO) test -tags $(TAGS) -ldflags "-s -w" -c -fuzz . -o /dev/null $$pkg || exit 1; \
	done

# fuzz runs each fuzz target for FUZZTIME.
fuzz:
	@for pkg in $(FUZZED); do \
		for target in $$($(GO) test -tags $(TAGS) -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			$(GO) test -tags $(TAGS) -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

clean:
	rm -rf hutch bin
