"""A labelled data set of any form -> pixels, labels and class names."""
