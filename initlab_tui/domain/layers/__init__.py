"""Layer statistics: what they are, and the diagnosis that follows from them."""
