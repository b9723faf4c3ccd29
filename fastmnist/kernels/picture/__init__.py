"""The picture reader's passes over pixels: a grey picture -> the digit in it, in MNIST's form. Start with `read.py`.

Pictures are flat arrays here, row after row, passed with their height and width. Nothing is allocated, and the
interpreter lock is not held, so each thread can read a picture, in working memory of its own.
"""
