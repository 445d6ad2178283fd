"""What a cluster needs beyond this machine: measured service demands, and arithmetic.

No simulation: the questions are which resource is full first, and how many of it are needed. The laws of operational analysis
answer them from means alone (utilization law, Little's law, mean value analysis), whatever the distributions are. A simulation
would need distributions that nobody has measured, and would answer the same.
"""
