"""Make a bucket and a store in it, with a hundred entries, if they are not there."""

import os
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import boto3
from des_format.errors import StoreExistsError
from des_format.store import DesStore, NewEntry

MORNING = datetime(2025, 11, 25, 8, tzinfo=UTC)


def main() -> None:
    """Fill what DES_STORE_URL names."""
    url = urlsplit(os.environ["DES_STORE_URL"])
    endpoint, region = (parse_qs(url.query)[name][0] for name in ("endpoint_url", "region"))
    boto3.client("s3", endpoint_url=endpoint, region_name=region).create_bucket(Bucket=url.netloc)
    try:
        store = DesStore.init(url.geturl(), n_bits=2)
    except StoreExistsError:
        return
    metadata = {"content_type": "text/plain; charset=utf-8"}
    store.put_many(
        [NewEntry(f"note-{number}", MORNING, f"This is note {number}.\n".encode(), metadata) for number in range(100)]
    )


if __name__ == "__main__":
    main()
