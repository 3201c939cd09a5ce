# Every target is described behind "##"; `make help` lists them.

GO      ?= go
VERSION ?= $(shell git describe --always --dirty 2>/dev/null || echo unknown)

export CGO_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help build tools demo test test-guest stress bench lint clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

build: ## build bin/cutaway, one static binary
	$(GO) build -trimpath -ldflags '-s -w' -o bin/cutaway.linked ./cmd/cutaway
	@# The linker writes through a mapping, page by page, and so the file lies in the
	@# page cache. A copy lies there in larger pieces: one fault of a start maps more.
	@cp bin/cutaway.linked bin/cutaway.copy && mv bin/cutaway.copy bin/cutaway && rm bin/cutaway.linked

tools: ## install the programs that demo and test use (Debian), saying so first
	@scripts/tools.sh

demo: build tools ## walk every lab there is, without asking
	bin/cutaway lab all --auto

test: build tools ## run every test, those that need root included
	scripts/test.sh

test-guest: build tools ## what takes minutes: in a virtual machine (device mapper, labs by hand), beside Docker Engine, and by the runtime specification's and runc's own tests
	$(GO) test -count=1 -timeout 40m -p 1 -run 'Guest|ReplayOnEngine|Docker|Conformance' ./cmd/cutaway ./dmthin ./unionfs/driver/devicemapper ./unionfs/driver/overlay2

stress: build tools ## kill -9 at many points, then clean: nothing may be left
	CUTAWAY_STRESS=100 $(GO) test -count=1 -timeout 60m -run KillAnywhere ./cmd/cutaway
	for labs in 15-21 22-28 29-37; do CUTAWAY_STRESS=60 CUTAWAY_STRESS_LABS=$$labs $(GO) test -count=1 -timeout 60m -run KillAnywhere ./cmd/cutaway || exit 1; done
	CUTAWAY_STRESS=50 $(GO) test -count=1 -timeout 60m -run 'AtOnce|AnyMoment' ./minicontainer
	CUTAWAY_STRESS=500 $(GO) test -count=1 -timeout 60m -run InARow ./minicontainer

bench: build tools ## measure side by side with peers, as ratios
	scripts/bench.sh

lint: ## gofmt, vet, staticcheck, and whether it builds for arm64
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	CGO_ENABLED=0 GOARCH=arm64 $(GO) build ./...

clean: ## remove what was built
	rm -rf bin
