"""A network, its file and its confidences."""
