"""The page of the wall: plain HTML, CSS and ES modules, served as they are."""
