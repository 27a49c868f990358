# make demo    the main job, once, on this machine
# make test    everything that must hold
# make check   format, warnings, architecture
# One debug build serves all of them.

.PHONY: demo test check build setup setup-tests format release

demo: setup
	@scripts/with-tools sh -c '"$$SWIFT" build --quiet --product coffer && "$$SWIFT" build --quiet --product coffer-vault'
	@scripts/with-tools scripts/demo

test: setup-tests
	scripts/with-tools scripts/test

check: setup
	scripts/with-tools scripts/check

format: setup
	scripts/with-tools sh -c '"$$SWIFT" format -i -r Package.swift Sources Tests'

release: setup
	scripts/with-tools sh -c '"$$SWIFT" build -c release --product coffer && "$$SWIFT" build -c release --product coffer-vault'

build: setup
	scripts/with-tools sh -c '"$$SWIFT" build --build-tests'

setup:
	@scripts/setup

setup-tests:
	@scripts/setup --tests
