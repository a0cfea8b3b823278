"""Client of the retriever: `pip install 'des-retriever-http[client]'`. It loads nothing of the service."""

from .aio import AsyncDownload, AsyncRetrieverClient
from .batches import BatchFile
from .downloads import FileHead
from .problems import HttpProblem, UnexpectedAnswerError
from .results import Deletion, FileMeta, Link, ListedFile, Retained
from .retrying import RetryPolicy
from .sync import Download, RetrieverClient

__all__ = [
    "AsyncDownload",
    "AsyncRetrieverClient",
    "BatchFile",
    "Deletion",
    "Download",
    "FileHead",
    "FileMeta",
    "HttpProblem",
    "Link",
    "ListedFile",
    "Retained",
    "RetrieverClient",
    "RetryPolicy",
    "UnexpectedAnswerError",
]
