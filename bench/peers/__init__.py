"""What a user would pick instead of fastmnist, each written as a competent user would write it.

A module imports its heavy package inside its functions, so a missing one is an ImportError when it is asked
to work, and the bench names it as missing.
"""
