# Everything a developer does. Each target makes the .venv that it needs; nothing is installed elsewhere.
#
#   make demo         from nothing to a trained model and its predictions
#   make test         the tests
#   make test-lowest  what a version can break, with the lowest versions that pyproject.toml declares
#   make fuzz         mutated files for all readers, SECONDS=3600 of them with SEED=0
#   make lint         ruff, mypy and import-linter
#   make format       let ruff lay out the code
#   make bench        all benchmarks, beside their peers (installs PyTorch, JAX, ...)
#   make bench-smoke  the benchmarks' quick half, without those peers
#   make model        train the model that ships in the package, and its companion for numbers: about an hour
#   make dist         wheel and sdist, in dist/
#   make ci           what must pass before a change goes in: twenty minutes
#   make check-all    that, and what takes hours: an hour of fuzzing, all benchmarks beside their peers
#   make clean        remove what make made

PYTHON ?= python3
BIN := .venv/bin
SECONDS ?= 3600
SEED ?= 0

# Two processes of tests: most tests wait for commands that use one thread. Each has a half of the files, and the one that
# is done takes half of what the other has left, so most tests of a file stay together and share what they make.
IN_TWO := -n 2 --dist worksteal

.DELETE_ON_ERROR:
.PHONY: install demo test test-lowest fuzz lint format bench bench-smoke model dist check-wheel check-sdist ci check-all clean

# The stamps say what .venv holds; pyproject.toml says what it should.
install: .venv/install.stamp

.venv/install.stamp: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

.venv/bench.stamp: .venv/install.stamp
	$(BIN)/python -m pip install --quiet --editable '.[test,bench]'
	touch $@

.venv-lowest/install.stamp: .venv/install.stamp
	$(PYTHON) -m venv .venv-lowest
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --no-header --output-file .venv-lowest/versions.txt pyproject.toml
	.venv-lowest/bin/python -m pip install --quiet --editable '.[test]' --constraint .venv-lowest/versions.txt
	touch $@

demo: install
	$(BIN)/fastmnist download data/
	$(BIN)/fastmnist train data/ --output model.safetensors
	$(BIN)/fastmnist evaluate data/ --model model.safetensors
	$(BIN)/python -m bench.write_images data/ images/ --count 200
	$(BIN)/fastmnist predict images/ --model model.safetensors > out.csv
	head -5 out.csv

# What forks does so in a process of its own, in which nothing else has run.
test: install
	$(BIN)/python -m pytest $(IN_TWO) --ignore tests/test_safety.py
	$(BIN)/python -m pytest tests/test_safety.py

# Compiling, computing, decoding, parsing options: all that a package below fastmnist has a part in.
test-lowest: .venv-lowest/install.stamp
	.venv-lowest/bin/python -m pytest $(IN_TWO) $(addprefix tests/test_, \
		kernels_matmul.py kernels_activations.py kernels_inference.py kernels_training.py kernels_augment.py \
		training_loop.py images_decode.py images_normalize.py cli_main.py cli_predict.py cli_doctor.py)
	.venv-lowest/bin/python -m pytest tests/test_safety.py

fuzz: install
	$(BIN)/python tests/fuzz.py --seconds $(SECONDS) --seed $(SEED)

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/bench.stamp
	$(BIN)/python -m bench

bench-smoke: install
	$(BIN)/python -m bench --smoke

model: install
	$(BIN)/fastmnist download data/
	$(BIN)/python -m experiments.training_set data/ build/training_set/
	$(BIN)/python -m experiments.no_digits data/ build/no_digits-idx3-ubyte
	$(BIN)/fastmnist train build/training_set/ --no-digit build/no_digits-idx3-ubyte --recipe best --epochs 300 \
		--validation 6000 --float16 --int8 \
		--output fastmnist/model/shipped.safetensors
	$(BIN)/python -m experiments.glyphs data/ build/glyphs/
	$(BIN)/fastmnist train build/glyphs/ --no-digit build/glyphs/no-digits-idx3-ubyte --recipe best --epochs 28 \
		--validation 4000 --float16 --int8 \
		--output fastmnist/model/glyphs.safetensors

dist: install
	rm -rf dist
	$(BIN)/python -m build --outdir dist

check-wheel: dist
	sh .ci/check-install $(PYTHON) dist/*.whl

check-sdist: dist
	sh .ci/check-install $(PYTHON) dist/*.tar.gz

# First what takes a minute, half of which it waits for packages.
ci: install
	$(MAKE) --jobs=2 lint check-wheel check-sdist .venv-lowest/install.stamp
	$(MAKE) test test-lowest bench-smoke

check-all: ci fuzz .venv/bench.stamp
	$(BIN)/python -m bench --all-peers

clean:
	rm -rf .venv .venv-lowest .venv-ocr build dist data images out.csv model.safetensors bench/results experiments/results .hypothesis .*_cache
	find fastmnist tests bench experiments -name __pycache__ -type d -prune -exec rm -rf {} +
