# Short names for what is otherwise typed out. Nothing is decided here.

.PHONY: help run test ci bench fuzz chaos clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

run: ## start the cluster of runtime.toml, and Meadow in it
	go run ./sample up

test: ## all tests; those that need a MariaDB, a Chromium or a Node skip without one
	go test ./...

ci: ## all checks, as they must pass before a change lands
	.ci/run

bench: ## 200 bots over real sockets, through real processes; a gate's figures; the store against its server's own ceiling
	go run ./sample bots -n 200 -for 10s
	FIREFLY_IDLE=10000 FIREFLY_CHATTY=5000 FIREFLY_CROWD=8 go test -count 1 -timeout 30m -v \
		-run 'ManyIdle|ControlGroup' -bench 'PushToAll|Storm|Shares' -benchtime 1x ./gate
	go test -run '^$$' -bench 'Flush|Commit|Activation|Memory' -benchtime 1x -timeout 30m ./persist

FUZZ = go test -run '^$$' -fuzztime 20s -fuzz

fuzz: ## every fuzz target for a short while
	$(FUZZ) FuzzFrame$$ ./actors/wire
	$(FUZZ) FuzzOriginal$$ ./actors/wire
	$(FUZZ) FuzzDecode$$ ./actors/wire
	$(FUZZ) FuzzReadEnvelope$$ ./actors
	$(FUZZ) FuzzAStateNeverPanics$$ ./actors
	$(FUZZ) FuzzDecode$$ ./persist
	$(FUZZ) FuzzParse$$ ./record
	$(FUZZ) FuzzRecord$$ ./record
	$(FUZZ) FuzzStream$$ ./gate
	$(FUZZ) FuzzOriginalStream$$ ./gate
	$(FUZZ) FuzzHello$$ ./gate
	$(FUZZ) FuzzWebSocket$$ ./gate
	$(FUZZ) FuzzProxy$$ ./gate
	$(FUZZ) FuzzBadBatchesAreErrorsAndNothingElse$$ ./cluster
	$(FUZZ) FuzzFilesAreReadOrRefused$$ ./cluster/identity
	$(FUZZ) FuzzALockIsReadOrSaysWhereNot$$ ./cluster/contract
	$(FUZZ) FuzzImportMakesWhatCheckAcceptsOrSaysWhyNot$$ ./cluster/original
	$(FUZZ) FuzzAConfigurationNeverPanics$$ ./cluster/node

chaos: ## a thousand Worlds in which all goes wrong that can, and a hundred kills of a real cluster's processes
	FIREFLY_SEEDS=1000 go test -count 1 -timeout 60m -run 'Whatever|WheneverIts|SameSeed|LongDay|Unknown|OwnerHasDied|CutLink|Wiped|Misses' ./cluster/replay
	FIREFLY_SEEDS=200 go test -count 1 -timeout 30m -run 'ClaimAnAccount|AccountAgree' ./cluster/replay
	FIREFLY_SEEDS=3000 go test -count 1 -timeout 30m -run 'Chains' ./cluster
	FIREFLY_SEEDS=1000 go test -count 1 -timeout 30m -run 'WhateverGoesWrong|WhoeverComes' ./cluster
	FIREFLY_ROUNDS=10 FIREFLY_RACERS=200 FIREFLY_RUNNERS=1000 FIREFLY_STEPS=800 FIREFLY_LODGERS=20000 \
		go test -count 1 -timeout 30m -v ./sample/relay
	FIREFLY_SEEDS=200 go test -count 1 -timeout 30m -run 'Whatever|Random|Life' ./actors
	FIREFLY_LONG=1 go test -count 1 -timeout 30m -v -run 'WhateverBefalls' ./cluster ./sample
	FIREFLY_EVERY_BYTE=1 go test -count 1 -timeout 30m -v -run 'CutAfterAnyByte' ./gate
	FIREFLY_EVERY_BYTE=1 go test -count 1 -timeout 30m -v ./gate/client/ts
	go test -count 1 -timeout 30m -run Sparks ./sample -rapid.checks 1000
	FIREFLY_OUTAGE=60s FIREFLY_TAKEOVERS=2000 FIREFLY_SEEDS=200 go test -count 1 -timeout 30m \
		-run 'StoreIsAway|Takeovers|RowsLife|WhateverTheServerDoes|NoConfirmedUpdate' ./persist -rapid.checks 2000
	FIREFLY_KILLS=100 FIREFLY_DOWN=30 FIREFLY_ZOMBIES=10 FIREFLY_PARTITIONS=16 FIREFLY_CUT=12 FIREFLY_SEVERED=6 \
		go test -count 1 -timeout 60m -v ./sample/bank

clean: ## remove what clusters leave here: logs, binaries, embedded stores. The world begins anew
	rm -rf .firefly
