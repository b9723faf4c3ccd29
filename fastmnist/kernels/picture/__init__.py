"""The picture reader's passes over pixels: a grey picture -> the digit in it, in MNIST's form. `read.py` is the way.

Pictures are flat arrays here, row after row, with their height and width beside them. Nothing is allocated, and the
interpreter lock is not held, so threads read a picture each, in working memory of their own.
"""
