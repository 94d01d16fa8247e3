"""What Prometheus reads."""

from prometheus_client.parser import text_string_to_metric_families

from made.server import Server
from tensor_guess.serving.metrics import Metrics


def test_all_is_there_from_the_start() -> None:
    found = {each.name: each for each in text_string_to_metric_families(Metrics().text().decode())}
    assert {each for each in found if each.startswith("tensor_guess_")} == {
        "tensor_guess_requests", "tensor_guess_pictures", "tensor_guess_swaps",
        "tensor_guess_waiting_pictures", "tensor_guess_model", "tensor_guess_batch_size",
        "tensor_guess_queue_seconds", "tensor_guess_decoding_seconds",
        "tensor_guess_network_seconds", "tensor_guess_map_seconds",
    }  # fmt: skip
    assert found["tensor_guess_batch_size"].type == "histogram"
    assert found["tensor_guess_queue_seconds"].type == "histogram"
    assert len(found["tensor_guess_pictures"].samples) == 4
    assert "process_resident_memory_bytes" in found


def test_requests_are_counted_by_path_and_code_and_no_word_of_theirs_is_kept(
    server: Server,
) -> None:
    before = server.count('tensor_guess_requests_total{code="404",path="other"}')
    for path in ("/secret", "/v1/models", "/../etc/passwd"):
        assert server.ask(path).code == 404
    assert server.ask("/v1/models/secret").code == 200
    said = server.ask("/metrics")
    assert said.headers["content-type"].startswith("text/plain; version=")
    assert b"secret" not in said.body
    after = server.count('tensor_guess_requests_total{code="404",path="other"}')
    assert after - before == 3
    assert server.count('tensor_guess_requests_total{code="200",path="/v1/models/{name}"}') >= 1
