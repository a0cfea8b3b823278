"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from des_format.errors import ConfigurationError
from des_retriever_http import Settings
from des_retriever_http.serving.operating import RetrieverSettings
from des_retriever_http.storage.opening import cache_url, store_url


def test_the_published_variables_say_where_entries_are() -> None:
    local = Settings.read({"DES_BACKEND": "local", "DES_BASE_DIR": "/data", "DES_N_BITS": "8"})
    assert store_url(local) == "/data"
    assert local.n_bits == 8
    s3 = {"DES_BACKEND": "s3", "DES_S3_BUCKET": "b", "DES_S3_PREFIX": "/a b/", "DES_S3_REGION": "eu-central-1"}
    assert store_url(Settings.read(s3)) == "s3://b/a%20b?region=eu-central-1"
    with_endpoint = Settings.read({**s3, "DES_S3_ENDPOINT_URL": "http://s3:9000"})
    assert "endpoint_url=http%3A%2F%2Fs3%3A9000" in store_url(with_endpoint)
    zones = Settings.read({"DES_BACKEND": "multi_s3", "DES_ZONES_CONFIG": "/etc/zones.yaml"})
    assert store_url(zones) == "zones:///etc/zones.yaml"


def test_without_variables_it_is_the_published_folder() -> None:
    assert store_url(Settings.read({})) == str(Path("data", "des"))


def test_the_published_cache_variables_become_a_url() -> None:
    redis = {"DES_CACHE_BACKEND": "redis", "DES_REDIS_URL": "redis://cache/0"}
    assert cache_url(Settings.read(redis)) == "redis://cache/0"
    assert cache_url(Settings.read({**redis, "DES_CACHE_TTL": "3600"})) == "redis://cache/0?ttl=3600"
    assert cache_url(Settings.read({"DES_CACHE_BACKEND": "memory", "DES_CACHE_TTL": "60"})) == "memory://"
    assert cache_url(Settings.read({})) is None


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"DES_BASEDIR": "/data"}, "DES_BASEDIR is no setting of this service; did you mean DES_BASE_DIR?"),
        ({"DES_BACKEND": "local", "DES_S3_BUCKET": "b"}, "DES_S3_BUCKET means nothing with DES_BACKEND=local"),
        ({"DES_BACKEND": "s3"}, "DES_BACKEND=s3 needs DES_S3_BUCKET"),
        ({"DES_BACKEND": "multi_s3"}, "needs DES_ZONES_CONFIG"),
        ({"DES_BACKEND": "ftp"}, "DES_BACKEND"),
        ({"DES_BACKEND": "local", "DES_STORE_URL": "s3://b"}, "set one of them"),
        ({"DES_STORE_URL": "s3://b", "DES_BASE_DIR": "/data"}, "DES_BASE_DIR means nothing with DES_STORE_URL"),
        ({"DES_BACKEND": "multi_s3", "DES_ZONES_CONFIG": "/z", "DES_N_BITS": "8"}, "DES_N_BITS means nothing"),
        ({"DES_N_BITS": "17"}, "DES_N_BITS"),
        ({"DES_CACHE_URL": "memory://", "DES_CACHE_BACKEND": "memory"}, "set one of them"),
        ({"DES_CACHE_BACKEND": "redis"}, "need each other"),
        ({"DES_CACHE_TTL": "5"}, "DES_CACHE_TTL needs"),
    ],
)
def test_what_is_unknown_or_contradicts_stops_the_start(environment: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.read(environment)
    assert named in str(caught.value)


def test_a_value_is_never_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.read({"DES_MANIFEST_TTL_SECONDS": "secret-value"})
    assert "secret-value" not in str(caught.value)


def test_variables_that_kubernetes_injects_for_services_are_no_settings() -> None:
    Settings.read(
        {
            "DES_HTTP_SERVICE_HOST": "10.0.0.1",
            "DES_HTTP_SERVICE_PORT": "8000",
            "DES_HTTP_PORT": "tcp://10.0.0.1:8000",
            "DES_HTTP_PORT_8000_TCP_ADDR": "10.0.0.1",
        }
    )
    of_its_own_name = {"DES_RETRIEVER_PORT": "tcp://10.0.0.1:8000", "DES_RETRIEVER_SERVICE_HOST": "10.0.0.1"}
    assert RetrieverSettings.read(of_its_own_name).retriever_port == 8000


def test_an_argument_beats_the_environment() -> None:
    assert Settings.read({"DES_N_BITS": "8"}, n_bits=4).n_bits == 4


def test_an_empty_variable_is_an_unset_one() -> None:
    assert Settings.read({"DES_S3_BUCKET": ""}).s3_bucket is None


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
