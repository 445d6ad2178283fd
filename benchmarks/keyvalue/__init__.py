"""A simulation of the original design on a key-value store, compared with this product; see ``__main__``."""
