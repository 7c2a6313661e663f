"""Worker processes: who trains, and who watches over them."""
