"""A gRPC server that echoes and ends its connections by age: `server.py SECONDS` prints its port."""

import sys
from concurrent import futures

import grpc


class Echo(grpc.GenericRpcHandler):
    def service(self, handler_call_details):
        return grpc.unary_unary_rpc_method_handler(lambda message, context: message)


age = int(float(sys.argv[1]) * 1000)
server = grpc.server(
    futures.ThreadPoolExecutor(4),
    handlers=[Echo()],
    options=[("grpc.max_connection_age_ms", age)],
)
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
server.wait_for_termination()
