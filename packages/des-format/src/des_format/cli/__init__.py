"""The command `des`; needs the extra `cli` (`pip install 'des-format[cli]'`)."""
