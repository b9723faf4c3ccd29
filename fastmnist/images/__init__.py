"""One picture -> one digit in MNIST's form.

A picture is what a file shows, of any size; an image is the 28x28 pixels made of it; pixels are images as rows of 784.
"""
