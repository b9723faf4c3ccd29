"""MNIST's shapes, stated once: an image is 28 x 28 pixels, a label fits into a uint8, a class has a printable name."""

SIDE = 28
IMAGE_SHAPE = (SIDE, SIDE)
N_PIXELS = SIDE * SIDE
MAX_CLASSES = 256  # labels are uint8
# How image files are brought into MNIST's form. auto: those not yet in it; mnist: every image; none: no image.
PREPROCESS_MODES = ("auto", "mnist", "none")
DIGITS = tuple(str(digit) for digit in range(10))  # the class names of MNIST
NO_DIGIT = "no digit"  # what a model may say besides the names of its classes: it is none of them


def is_class_name(name: object) -> bool:
    """Return whether `name` can be a label in the output: printable, and no formula to a spreadsheet."""
    return isinstance(name, str) and name.isprintable() and name[:1].isalnum()


def is_no_digit(name: str) -> bool:
    """Return whether `name` reads "no digit", in any spelling: it can't name a class."""
    return name.lower().replace("_", " ").replace("-", " ") == NO_DIGIT
