"""The commands `des store ...`, one module for each purpose."""
