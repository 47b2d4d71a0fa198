"""What holdwatch promises, verified by running it: commands, what they found, docs/verification.md made of it."""
