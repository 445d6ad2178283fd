"""The wall on Restate under load, and where its limit is."""
