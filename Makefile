# The project's verbs. README.md says what they do for you; `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup lab-setup lab cloud cloud-clean test lint locks unit inventories molecule acceptance swift-functional interop docs lock

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Ansible wants a UTF-8 locale, which a minimal machine does not set.
export LC_ALL := C.UTF-8
# `make cloud COMPUTES=2` makes two compute nodes. The lab remembers it.
export STACKWRIGHT_COMPUTES := $(COMPUTES)
# `make cloud STORAGE=ceph` makes three storage nodes, `STORAGE=swift` three that keep objects, `STORAGE=local` none. The
# lab remembers that, too.
ifneq ($(filter-out ceph swift local,$(STORAGE))$(word 2,$(STORAGE)),)
$(error STORAGE is ceph, swift or local, not $(STORAGE))
endif
export STACKWRIGHT_STORAGE_NODES := $(if $(STORAGE),$(if $(filter ceph,$(STORAGE)),3,0))
export STACKWRIGHT_OBJECT_NODES := $(if $(STORAGE),$(if $(filter swift,$(STORAGE)),3,0))
# `make molecule SCENARIO=keystone` runs one scenario.
SCENARIO ?= $(notdir $(patsubst %/molecule.yml,%,$(wildcard molecule/*/molecule.yml)))

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile

setup: ## Prepare this machine as a control node: host packages and the locked virtual environment.
	@tools/setup

lab-setup: ## Prepare it for the lab as well: podman and what makes machines out of containers.
	@tools/setup lab

lab: lab-setup ## Make the lab's machines (COMPUTES=n STORAGE=ceph|swift).
	@ansible-playbook playbooks/lab.yml

cloud: lab-setup ## Make the lab's machines, deploy a cloud on them and prove it (COMPUTES=n STORAGE=ceph|swift).
	@tools/vault-key create >/dev/null
	@ansible-playbook playbooks/lab.yml
	@ansible-playbook playbooks/secrets.yml
	@ansible-playbook playbooks/site.yml
	@ansible-playbook playbooks/verify.yml
	@tools/summary

cloud-clean: lab-setup ## Remove the lab. Stored images stay; IMAGES=true removes them too.
	@ansible-playbook playbooks/lab_clean.yml $(if $(IMAGES),-e lab_clean_images=true)

test: ## Run all tests, and say how long each part took.
	@tools/test

test-setup:
	@tools/setup test
.PHONY: test-setup

lint: test-setup ## Check style and types.
	@tools/lint

unit: test-setup ## Run the unit and property tests in random order (SEED=n repeats one), and hold their coverage above its floor.
	@tools/unit $(if $(SEED),--seed $(SEED))

locks: test-setup ## Install the locks with an old pip, beside newer releases of everything.
	@tools/check-locks

inventories: test-setup ## Load every example inventory and check every playbook's syntax with it.
	@tools/check-inventories

molecule: test-setup ## Run the Molecule scenarios, two at a time (SCENARIO=name runs one).
	@tools/molecule $(SCENARIO)

acceptance: test-setup ## Prove the running cloud of the lab by faults, interrupted runs and every resource type (TESTS=path runs some).
	@.venv/bin/pytest --no-cov -p no:randomly -v $(or $(TESTS),tests/acceptance)

swift-functional: test-setup ## Run Swift's own functional and S3 tests on the lab's object store (INVENTORY=path, WORKERS=2, TESTS=files runs some).
	@INVENTORY=$(INVENTORY) WORKERS=$(WORKERS) tools/swift-functional $(TESTS)

interop: test-setup ## Run the interoperability guideline's tests of an object store on the lab (INVENTORY=path).
	@INVENTORY=$(INVENTORY) tools/interop

docs: test-setup ## Write the modules of resource types and the reference anew from what the code declares.
	@tools/modules
	@tools/docs

lock: test-setup ## Write requirements*.txt anew with the newest releases.
	@tools/lock --upgrade
