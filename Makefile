# Plain make: every target is one command of scripts/ or of the binary it built.
# `make help` lists them. Go is looked for where it usually is (scripts/go-env.sh).
.POSIX:

PREFIX = /usr/local
T = 30s

.PHONY: help build check test race fuzz e2e variants interop diff bench cross shape fmt docs demo install uninstall packages clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):[^#]*## /\1\t/p' Makefile | while IFS='	' read -r t d; do printf '  make %-8s  %s\n' "$$t" "$$d"; done

build: ## bin/warren: one static binary, reproducible
	@scripts/build bin/warren

check: ## what a commit must pass: format, vet, staticcheck, architecture, short tests (no root)
	@scripts/test static short

test: ## everything, as root: unit, race, other platforms, namespaces, variants, interop, diff; one line per group
	@scripts/test all

race: ## the unit tests under the race detector
	@scripts/test race

fuzz: ## every fuzz target for T each (T=30s)
	@T='$(T)' scripts/test fuzz

e2e: ## real sockets and TUN devices in network namespaces (root)
	@scripts/test namespaces

variants: ## the tunnel with every implementation of the cipher in turn, and without each offload (root)
	@scripts/test variants

interop: ## against Linux's own (in QEMU), wireguard-go, the distribution's wg, and BoringTun where cargo is (root)
	@INTEROP_ALL=1 scripts/test interop

diff: ## wg and wg-quick beside upstream's newest, fetched without touching the system (root)
	@scripts/test diff

bench: ## warren bench beside wireguard-go and without a cipher, less than ten minutes (root)
	@scripts/bench

cross: ## vet and build for every supported platform
	@scripts/test cross

shape: ## how long functions are and how much is documented
	@. scripts/go-env.sh && go test -count=1 -run TestShape -v ./internal/archtest | sed -n 's,^shape: ,,p'

fmt: ## format the Go code
	@. scripts/go-env.sh && gofmt -w $$(git ls-files '*.go')

docs: ## check links, file names and test names in the documentation
	@. scripts/go-env.sh && go test -count=1 -run TestDocs ./internal/archtest

demo: build ## a network of five hosts behind NATs on this machine, brought up and measured (root)
	@bin/warren demo

install: build ## into $(DESTDIR)$(PREFIX); with COMPAT=1 the names wg, wg-quick and wireguard-go too
	@bin/warren install --prefix '$(PREFIX)' $${DESTDIR:+--destdir "$$DESTDIR"} $${COMPAT:+--compat} $${FORCE:+--force}

uninstall: build ## remove what install has installed
	@bin/warren uninstall --prefix '$(PREFIX)' $${DESTDIR:+--destdir "$$DESTDIR"} $${FORCE:+--force}

packages: ## dist/: deb, rpm and apk of warren and warren-compat (ARCHES="amd64 arm64")
	@scripts/packages

clean: ## remove what the other targets made
	@rm -rf bin dist
