"""DES archives and stores on S3-compatible object storage."""
