"""The alternatives to this product, each a real server with the same interface, retention and durability."""
