"""Name the digit in pictures of your own: `python examples/predict_photo.py PICTURE ...`."""

import sys

import fastmnist

model = fastmnist.load()
for part in model.predict_files(sys.argv[1:]):
    for path, label, confidence, error in zip(part.paths, part.labels, part.confidences, part.errors, strict=True):
        print(error or f"{path}: {label} ({confidence:.1%})")
