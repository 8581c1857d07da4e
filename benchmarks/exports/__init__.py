"""Exports every preset at three sizes, and shapes that nobody asks for, and writes down what each took and gave."""
