"""The operator's rules for posts: who may not post, which words may not be posted, and what waits for review."""
