"""A gRPC client of grpcio: `client.py PORT CA_FILE AUTHORITY` makes the calls that it reads, one JSON object per line."""

import json
import sys
import threading

import grpc

port, ca_file, authority = sys.argv[1:4]
with open(ca_file, "rb") as file:
    trusted = grpc.ssl_channel_credentials(root_certificates=file.read())
channel = grpc.secure_channel(
    f"127.0.0.1:{port}",
    trusted,
    options=[("grpc.ssl_target_name_override", authority), ("grpc.default_authority", authority)],
)


def values(metadata):
    found = {}
    for name, value in metadata or ():
        found.setdefault(name, []).append(value if isinstance(value, str) else value.hex())
    return found


def unary(path, metadata):
    value, call = channel.unary_unary(path).with_call(b"a", metadata=metadata, timeout=20)
    return {"code": call.code().value[0], "value": value.decode()}


def streaming(path, metadata):
    """The request does not end before the answer is there."""
    answered = threading.Event()

    def messages():
        yield b"a"
        answered.wait(20)

    try:
        call = channel.stream_stream(path)(messages(), metadata=metadata, timeout=20)
        value = next(call)
        answered.set()
        call.cancel()
        return {"code": 0, "value": value.decode()}
    finally:
        answered.set()


for line in sys.stdin:
    asked = json.loads(line)
    make = streaming if asked["streaming"] else unary
    try:
        told = make(asked["path"], tuple(asked["metadata"].items()))
    except grpc.RpcError as error:
        told = {
            "code": error.code().value[0],
            "details": error.details(),
            "metadata": values(error.trailing_metadata()),
        }
    print(json.dumps(told), flush=True)
