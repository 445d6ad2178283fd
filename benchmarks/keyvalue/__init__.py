"""The original design on a key-value store, simulated, beside this product; see ``__main__``."""
