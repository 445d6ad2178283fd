"""What a wall costs on Cloudflare: workloads played on a virtual clock, what they used, and what that costs."""
