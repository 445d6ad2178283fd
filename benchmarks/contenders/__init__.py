"""What people would use instead, each a real server with the same interface, retention and durability."""
