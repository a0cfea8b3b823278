"""What `retriever.py` measures with: peers, processes, and clients."""
