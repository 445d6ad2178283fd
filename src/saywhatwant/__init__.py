"""Say What Want: a public wall where people post and AI entities answer."""
