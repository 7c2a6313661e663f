"""The output of the lab and the command line: formatting, tables, pages and JSON documents."""
