"""What the service tells about itself: metrics, logs, spans, and figures for the console."""
