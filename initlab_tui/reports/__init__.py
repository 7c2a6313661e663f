"""What every face of the program says: text, numbers, tables and pages."""
