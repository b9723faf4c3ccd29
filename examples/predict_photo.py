"""Name the digit in pictures of your own: `python examples/predict_photo.py PICTURE ...`."""

import sys

import fastmnist

if len(sys.argv) < 2:
    sys.exit("usage: python examples/predict_photo.py PICTURE ...")
model = fastmnist.load()
for part in model.predict_files(sys.argv[1:]):
    for path, label, confidence, error in zip(part.paths, part.labels, part.confidences, part.errors, strict=True):
        print(error or f"{path}: {label} ({confidence:.1%})")
