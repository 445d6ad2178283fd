"""The wall on Cloudflare: one Durable Object has its messages and its HTTP interface, a Worker in front passes requests on."""
