# make demo    the main job, once, on this machine
# make test    everything that must hold
# make check   format, warnings, architecture
# make simulate SEEDS=200 [FIRST=1]     fleets and attackers in one process, from seeds (Docs/Testing.md)
# make chaos ROUNDS=100 [SEED=1]        real vaults, killed under load
# make fuzz-whatsapp MINUTES=30 [SEED=1]    WhatsApp's files, bent in every way
# make test-clouds [CLOUDS=moto,apache]   every store on every real server that can be had here; writes Docs/Stores.md's tables; a quarter of an hour
# make bench-backup [CORPUS=DIR] [BENCH_ROUNDS=3]   Coffer and its peers on a corpus of 2 GB (Docs/Performance.md); takes an hour
# make bench-stores                     what a bucket costs beside a folder, and 100 ms of latency (Docs/Performance.md)
# make bench-whatsapp [WHATSAPP_DB=FILE]            opening WhatsApp's files beside wa-crypt-tools (Docs/Performance.md)
# make bench-vault [ACCOUNTS="10000 1000000"]       a vault under load, at each of these numbers of accounts (Docs/Performance.md)
# One debug build serves all of them but the last four.

.PHONY: demo test test-clouds check simulate chaos bench-backup bench-stores bench-vault bench-whatsapp fuzz-whatsapp build setup setup-tests format release

demo: setup
	@scripts/with-tools sh -c '"$$SWIFT" build --quiet --product coffer && "$$SWIFT" build --quiet --product coffer-vault'
	@scripts/with-tools scripts/demo

test: setup-tests
	scripts/with-tools scripts/test

test-clouds:
	@scripts/setup --clouds
	@scripts/with-tools sh -c '"$$SWIFT" build --quiet --product coffer'
	@status=0; \
	CLOUDS="$(CLOUDS)" .build-tools/clouds/bin/python Tests/Clouds/clouds.py --write Docs/Stores.md || status=1; \
	[ -n "$(CLOUDS)" ] || .build-tools/clouds/bin/python Tests/Clouds/drive_clients.py --write Docs/Stores.md || status=1; \
	exit $$status

SEEDS ?= 200
FIRST ?= 1
simulate: setup
	@scripts/with-tools sh -c '"$$SWIFT" build --quiet --product simulate'
	@.build/debug/simulate --plants
	@.build/debug/simulate --first $(FIRST) --seeds $(SEEDS)

ROUNDS ?= 100
SEED ?= 1
chaos: setup-tests
	@scripts/with-tools sh -c '"$$SWIFT" build --quiet --product simulate && "$$SWIFT" build --quiet --product coffer-vault'
	@CHAOS_ROUNDS=$(ROUNDS) CHAOS_SEED=$(SEED) scripts/with-tools sh -c '"$$PYTHON" Tests/EndToEnd/test_chaos.py'

# Several gigabytes, outside of the repository.
CORPUS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/coffer/corpus
BENCH_ROUNDS ?= 3
bench-backup:
	@scripts/setup --bench
	@scripts/with-tools sh -c '"$$SWIFT" build --quiet -c release --static-swift-stdlib --product coffer'
	@BENCH_PYTHON="$(CURDIR)/.build-tools/bench/bin/python" Benchmarks/build-corpus "$(CORPUS)"
	@python3 Benchmarks/bench_backup.py "$(CORPUS)" --coffer .build/release/coffer --rounds $(BENCH_ROUNDS) \
	    --peers .build-tools/bench/bin --write Docs/Performance.md

bench-stores:
	@scripts/setup --clouds
	@scripts/setup --bench
	@scripts/with-tools sh -c '"$$SWIFT" build --quiet -c release --static-swift-stdlib --product coffer'
	@BENCH_PYTHON="$(CURDIR)/.build-tools/bench/bin/python" Benchmarks/build-corpus "$(CORPUS)"
	@.build-tools/clouds/bin/python Benchmarks/bench_stores.py "$(CORPUS)/day1" --coffer .build/release/coffer --write Docs/Performance.md

# A message database of the corpus; WHATSAPP_DB=FILE takes another one.
WHATSAPP_DB ?= $(CORPUS)/day1/Databases/msgstore.db
bench-whatsapp:
	@scripts/setup --tests
	@scripts/with-tools sh -c '"$$SWIFT" build --quiet -c release --static-swift-stdlib --product coffer'
	@test -e "$(WHATSAPP_DB)" || { scripts/setup --bench && \
	    BENCH_PYTHON="$(CURDIR)/.build-tools/bench/bin/python" Benchmarks/build-corpus "$(CORPUS)"; }
	@python3 Benchmarks/bench_whatsapp.py "$(WHATSAPP_DB)" --coffer .build/release/coffer --peer .build-tools/wa-crypt-tools/bin \
	    --work "$(CORPUS)" --write Docs/Performance.md

# Ten million accounts take about 20 GB for the time of the run.
ACCOUNTS ?= 10000 1000000
VAULT_WORK ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/coffer/vault
bench-vault: setup
	@scripts/with-tools sh -c 'for product in coffer-vault vault-bench; do \
	    "$$SWIFT" build --quiet -c release --static-swift-stdlib --product $$product || exit 1; done'
	@mkdir -p "$(VAULT_WORK)"
	@python3 Benchmarks/bench_vault.py --vault .build/release/coffer-vault --bench .build/release/vault-bench \
	    --work "$(VAULT_WORK)" --accounts $(ACCOUNTS) --write Docs/Performance.md

# Vectors of WhatsApp's files, bent in every way; the seed and the round say everything (Docs/Testing.md).
MINUTES ?= 30
fuzz-whatsapp: setup
	@scripts/with-tools sh -c '"$$SWIFT" build --quiet -c release --product whatsapp-fuzz'
	@nice -n 19 .build/release/whatsapp-fuzz --minutes $(MINUTES) --seed $(SEED)

check: setup
	scripts/with-tools scripts/check

format: setup
	scripts/with-tools sh -c '"$$SWIFT" format -i -r Package.swift Benchmarks Fuzz Simulation Sources Tests'

release: setup
	scripts/with-tools sh -c '"$$SWIFT" build -c release --static-swift-stdlib --product coffer && "$$SWIFT" build -c release --static-swift-stdlib --product coffer-vault'

build: setup
	scripts/with-tools sh -c '"$$SWIFT" build --build-tests'

setup:
	@scripts/setup

setup-tests:
	@scripts/setup --tests
