"""What is trained, predicted, measured and claimed: pure Python that imports no other room."""
