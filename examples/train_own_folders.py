"""Train on your own pictures, a folder for each class: `python examples/train_own_folders.py FOLDER MODEL.safetensors`.

FOLDER holds `cat/`, `dog/`, ... or `train/` and `test/` with such folders within.
"""

import sys

import fastmnist

if len(sys.argv) != 3:
    sys.exit("usage: python examples/train_own_folders.py FOLDER MODEL.safetensors")
folder, path = sys.argv[1:]


def show(epoch: fastmnist.EpochDone) -> None:
    """Print what came of an epoch."""
    print(f"epoch {epoch.epoch}: loss {epoch.train_loss:.4f}, accuracy {epoch.train_accuracy:.1%}")


model = fastmnist.train(folder, hidden=(64,), epochs=20, on_epoch=show)
model.save(path)
accuracy = fastmnist.evaluate(model, folder).accuracy
print(f"{path}: {', '.join(model.class_names)}")
print(f"accuracy {accuracy:.1%} (on test/ if there is one, otherwise on the training images)")
