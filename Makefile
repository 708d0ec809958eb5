# make alone lists the targets. A clone needs Go and make, nothing else.

GO            ?= go
GOLANGCI_LINT := bin/tools/golangci-lint-v2.15.0
K6            := bin/tools/k6-v1.8.1

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: run
run: build ## drive a three-node cluster for a minute, kill its leader, audit and judge it
	bin/playhead run scenarios/prime-time.yaml

.PHONY: build
build: ## build bin/playhead
	$(GO) build -o bin/playhead ./cmd/playhead

.PHONY: k6
k6: ## build bin/k6: k6 with playback devices in it
	$(GO) build -o bin/k6 ./k6/cmd/k6

.PHONY: bench-k6
bench-k6: build k6 ## what k6 takes for a million events by a Fleet, by Devices and by http.post, and its memory; FLAGS=-help
	$(GO) run ./cmd/bench-k6 $(FLAGS)

# These start no goroutine but in their tests, which share nothing. Their own tests are long sums of one goroutine, up
# to seven times as long under the race detector, which sees most of them at work in the packages that use them.
ALONE := ./sim ./sim/population ./sim/random ./sim/fit ./sim/capacity ./sim/trace ./server/archive ./viewing ./viewing/wire

# These test whole programs, of which the race detector would see the test's half; make soak has it.
WHOLE := ./cmd/playhead ./k6/cmd/k6

# It judges milliseconds: nothing else is to run meanwhile, nor the race detector.
TIMED := ./sim/driver/drivertest

.PHONY: test
test: ## every test, with the race detector but for what starts no goroutine, is a whole program or judges milliseconds
	$(GO) test -vet=off $(TIMED); timed=$$?; \
	(cd cmd/bench-driver && $(GO) test -vet=off ./... && cd ../bench && $(GO) test -vet=off ./...) & bench=$$!; \
	$(GO) test -vet=off $(ALONE); alone=$$?; \
	$(GO) test -vet=off -timeout 20m -parallel 4 $(WHOLE); whole=$$?; \
	$(GO) test -vet=off -race -timeout 20m -p 2 -parallel 3 $(filter-out $(ALONE) $(WHOLE) $(TIMED),$(shell $(GO) list -f '{{.Dir}}' ./... | sed 's|^$(CURDIR)|.|')); others=$$?; \
	wait $$bench && exit $$((timed + alone + whole + others)) # much of it waits: for elections, disks, processes; make lint vets

.PHONY: fuzz
fuzz: ## every decoder against made-up bytes, FUZZTIME=1m each, two at a time
	@grep -rno --include=*_test.go '^func Fuzz[A-Za-z0-9]*' . | sed 's|/[^/]*:[0-9]*:func | |; s|$$| $(or $(FUZZTIME),1m)|' | \
	  GO=$(GO) xargs -P 2 -L 1 .ci/fuzz

.PHONY: soak
soak: ## ten minutes of random kills, snapshots and changes of members under load, ten of calm, ten of simulated worlds, and the tests that are too long for make test; SOAK=1h for longer
	$(GO) test -tags soak -timeout 0 -v -run 'TestSoak|TestOverloadedCluster|TestSteady' ./sim/target -args -soak $(or $(SOAK),10m)
	$(GO) test -tags soak -v -run 'OnlyNode|HangingDisk|AreNotBlind|ABrokenFile|ALostMajority' ./sim/target
	$(GO) test -tags soak -race -timeout 30m $(WHOLE)
	$(GO) test -tags soak -run TestEveryNumberAtItsBounds ./sim
	$(GO) test -tags soak -timeout 0 -v -run TestSoakWorlds ./sim/world -args -soak $(or $(SOAK),10m)

.PHONY: lint
lint: $(GOLANGCI_LINT) ## formatting, vet, the arrows between packages, a tidy go.mod
	$(GOLANGCI_LINT) run ./...
	$(GO) mod tidy -diff
	cd cmd/bench && ../../$(GOLANGCI_LINT) run ./...
	cd cmd/bench && $(GO) mod tidy -diff
	cd cmd/bench-driver && ../../$(GOLANGCI_LINT) run ./...
	cd cmd/bench-driver && $(GO) mod tidy -diff

.PHONY: bench
bench: build ## what three processes on this machine take, beside etcd and NATS JetStream; FLAGS=-help lists its flags
	cd cmd/bench && $(GO) build -o ../../bin/bench . # a module of its own: the peers are not Playhead's to require
	bin/bench $(FLAGS)

.PHONY: bench-driver
bench-driver: $(K6) ## what the driver takes beside wrk, vegeta, k6 and clients in Go; FLAGS=-accuracy what they say of a target that freezes
	cd cmd/bench-driver && $(GO) build -o ../../bin/bench-driver . # a module of its own, as bench is
	bin/bench-driver -k6 $(K6) $(FLAGS)

.PHONY: bench-sim
bench-sim: ## ten million devices on a virtual clock: events a CPU second, bytes a device; DEVICES=40000000 for more
	$(GO) test ./sim -run '^$$' -bench Devices -benchtime 100000000x -timeout 30m -args -devices $(or $(DEVICES),10000000)

.PHONY: vuln
vuln: ## known vulnerabilities; needs the network beyond the module proxy
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.1.4 ./...

.PHONY: clean
clean: ## remove what was built and what runs left
	rm -rf bin runs data

$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin/tools/install $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv bin/tools/install/golangci-lint $@
	rmdir bin/tools/install

$(K6): # it takes minutes
	GOBIN=$(CURDIR)/bin/tools/install $(GO) install go.k6.io/k6@v1.8.1
	mv bin/tools/install/k6 $@
	rmdir bin/tools/install
