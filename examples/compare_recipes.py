"""Compare settings on images held out of the training set: `python examples/compare_recipes.py DATA`.

DATA is a folder with MNIST's files (fastmnist download DATA). The test set is for the one that you choose at the end.
"""

import sys

import fastmnist

if len(sys.argv) != 2:
    sys.exit("usage: python examples/compare_recipes.py DATA")
for hidden in [(30,), (100,), (300, 100)]:
    model = fastmnist.train(sys.argv[1], recipe="seed", hidden=hidden, epochs=2, validation=10_000)
    print(f"{hidden}: {model.origin['validation_accuracy']:.2%} of 10,000 images held out")
