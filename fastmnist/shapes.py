"""MNIST's shapes, stated once: an image is 28 x 28 pixels, a label fits into a uint8, a class has a printable name."""

SIDE = 28
IMAGE_SHAPE = (SIDE, SIDE)
N_PIXELS = SIDE * SIDE
MIN_SIDE, MAX_SIDE = 8, 64  # of square images in arrays, which are scaled to SIDE as pictures are
EXPECTED_SQUARES = f"expected {SIDE} x {SIDE}, or another square of {MIN_SIDE} to {MAX_SIDE} pixels a side"
MAX_CLASSES = 256  # labels are uint8
# How image files are brought into MNIST's form. auto: those not yet in it; mnist: every image; none: no image.
PREPROCESS_MODES = ("auto", "mnist", "none")
DIGITS = tuple(str(digit) for digit in range(10))  # the class names of MNIST
CLASS_NAME = "printable words that begin with a letter or digit and do not end in a space"
NO_DIGIT = "no digit"  # what a model may say besides the names of its classes: it is none of them
NO_DIGIT_SHARE = 0.15  # of the images that such a model expects: most people show it digits (see docs/accuracy.md)


def is_class_name(name: object) -> bool:
    """Return whether `name` can be a label in the output: a CLASS_NAME, hence no formula to a spreadsheet."""
    return isinstance(name, str) and name.isprintable() and name[:1].isalnum() and not name[-1:].isspace()


def is_no_digit(name: str) -> bool:
    """Return whether `name` reads "no digit", in any spelling: it can't name a class."""
    return name.lower().replace("_", " ").replace("-", " ") == NO_DIGIT


def square_side(shape: tuple[int, ...]) -> int | None:
    """Return the side of the square images of this shape, (k, k), (k, k, 1) or (1, k, k); None for others."""
    if len(shape) == 3 and 1 in (shape[0], shape[2]):
        shape = shape[1:] if shape[0] == 1 else shape[:2]
    is_square = len(shape) == 2 and shape[0] == shape[1]
    return shape[0] if is_square and MIN_SIDE <= shape[0] <= MAX_SIDE else None
