# The few commands of the house; CONTRIBUTING.md says when to use which.

VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS   := -s -w -X github.com/herald-push/herald/internal/version.stamp=$(VERSION)
# Pinned tools have a module of their own, so that the server does not inherit
# what they need. govulncheck needs another golang.org/x/telemetry than
# golangci-lint, therefore a second file.
LINT      := go tool -modfile=tools/go.mod golangci-lint
VULNCHECK := go tool -modfile=tools/vuln.mod govulncheck
# What the binary must build for: no cgo anywhere.
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 windows/amd64
FUZZTIME  ?= 30s
PACKAGES  ?= ./...
SOAKTIME  ?= $(or $(SOAK_MINUTES),10)m
BENCH     ?= .

.PHONY: build dev fmt lint test check cross needs fuzz soak bench release image clean

build: ## ./herald, without cgo
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o herald ./cmd/herald

dev: ## a server to try things on
	go run ./cmd/herald dev

fmt: ## format the Go code
	gofmt -w $$(scripts/gofiles.sh)

lint: ## golangci-lint, and govulncheck where its database can be reached
	$(LINT) run
	@scripts/vulncheck.sh $(VULNCHECK)

test: needs check cross ## everything, in one go; the last line is "tests: ..."
	@go build -o .bin/testrun ./internal/testrun
	@.bin/testrun -count=1 -vet=off -timeout=20m ./...

needs: ## install what the tests need, where that is missing
	@scripts/needs.sh

check: ## formatting, go.mod and vet
	@scripts/gofmt-check.sh
	@go mod tidy -diff
	@CGO_ENABLED=0 go vet ./...

cross: ## compile, and only that, for every platform
	@for p in $(PLATFORMS); do \
		echo "building for $$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null ./cmd/... || exit 1; \
	done

fuzz: ## every fuzz target (of PACKAGES) for FUZZTIME each
	@scripts/fuzz.sh $(FUZZTIME) $(PACKAGES)

soak: ## kills and power cuts under load for SOAK_MINUTES, every invariant checked, figures at the end
	@scripts/soak.sh $(SOAKTIME)

bench: ## every benchmark that BENCH matches
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

release: ## dist/: archives, Debian packages, bills of materials and sums for every platform, the same bytes everywhere
	go run ./internal/release

image: ## a container image, herald:VERSION, by docker or podman
	@scripts/image.sh $(VERSION)

clean: ## what make itself built
	rm -rf .bin herald dist
